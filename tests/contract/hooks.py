"""What a schema can't say about a valid request."""

import schemathesis
from hypothesis import strategies as st

PNG = b"\x89PNG\r\n\x1a\n"

# An image is told by its first bytes.
schemathesis.openapi.format("binary", st.binary(max_size=100).map(PNG.__add__))

# Hosts are more than a pattern: `https://1.2.3.999` is none.
hosts = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,3})?(:[1-9][0-9]{0,3})?", fullmatch=True)
paths = st.from_regex(r"(/[!-~]{0,20})?", fullmatch=True)
schemathesis.openapi.format("uri", st.builds("{}://{}{}".format, st.sampled_from(["http", "HTTPS"]), hosts, paths))

# Messages that there are: a reply to a made-up one is a 400, however valid its id is by the schema. So is a made-up cursor.
sent = set()


def operation(case):
    return case.operation.definition.raw["operationId"]


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta and not case.meta.generation.mode.is_positive:
        return
    if operation(case) == "sendMessage" and (case.path_parameters["id"], case.body.get("reply_to")) not in sent:
        case.body.pop("reply_to", None)
    if operation(case) == "sendMessage" and case.body.get("message_type") == "system":
        case.body["message_type"] = "text"  # system messages are for secret keys
    if operation(case) == "markRead" and (case.path_parameters["id"], case.body.get("message_id")) not in sent:
        case.body.pop("message_id", None)
    if operation(case) == "listConversations":
        case.query.pop("cursor", None)
    if operation(case) == "listMessages" and "before" in case.query:
        case.query.pop("since", None)


@schemathesis.hook
def filter_case(context, case):
    # Parts that nobody knows are ignored if they are parts at all: a control character in a name breaks the form.
    is_form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    return not is_form or all(str(name).isprintable() for name in case.body)


@schemathesis.hook
def after_call(context, case, response):
    if operation(case) == "sendMessage" and response.status_code == 200:
        message = response.json()["message"]
        sent.add((message["conversation_id"], message["id"]))
