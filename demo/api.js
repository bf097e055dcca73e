// The REST API, one method a route. Each call is told to the log.

/** What a multipart request may hold on AWS is about 4.4 MB; what is larger goes straight to storage. */
const MAX_FORM = 4 * 1024 * 1024;

export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export class Api {
  constructor(key, log) {
    this.key = key;
    this.log = log;
  }

  config = () => this.#json("GET", "/v1/config");
  upsertUser = (user) => this.#json("POST", "/v1/users", user);
  conversations = (user) => this.#json("GET", `/v1/conversations?user_id=${encodeURIComponent(user)}`);
  createConversation = (conversation) => this.#json("POST", "/v1/conversations", conversation);
  messages = (id, query) => this.#json("GET", `/v1/conversations/${id}/messages?${new URLSearchParams(query)}`);
  send = (id, message) => this.#json("POST", `/v1/conversations/${id}/messages`, message);
  edit = (id, message, change) => this.#json("PATCH", `/v1/conversations/${id}/messages/${message}`, change);
  delete = (id, message, sender) =>
    this.#json("DELETE", `/v1/conversations/${id}/messages/${message}`, { sender_id: sender });
  typing = (id, sender, name) =>
    this.#json("POST", `/v1/conversations/${id}/typing`, { sender_id: sender, sender_name: name });

  /** Uploads an image and gives its URL. `progress` is called with a share from 0 to 1. */
  async upload(id, file, progress) {
    const path = `/v1/conversations/${id}/upload`;
    if (file.size <= MAX_FORM) {
      const form = new FormData();
      form.append("file", file);
      const text = `multipart form with file: ${file.name}, ${file.type}, ${file.size} bytes`;
      const headers = { "x-tinychat-api-key": this.key };
      return (await this.#exchange("POST", path, text, () => put("POST", path, headers, form, progress))).url;
    }
    const { url, upload } = await this.#json("POST", path, { content_type: file.type, size: file.size });
    await this.#exchange(upload.method, upload.url, `the file, ${file.size} bytes`, () =>
      put(upload.method, upload.url, upload.headers, file, progress),
    );
    return url;
  }

  #json(method, path, body) {
    const headers = { "x-tinychat-api-key": this.key };
    if (body) headers["content-type"] = "application/json";
    return this.#exchange(method, path, body, async () => {
      const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
      return { status: response.status, text: await response.text() };
    });
  }

  async #exchange(method, path, body, exchange) {
    const done = this.log.call(method, path, body, this.key);
    let answer;
    try {
      answer = await exchange();
    } catch {
      done("failed");
      throw new ApiError(0, "The network failed");
    }
    const json = parse(answer.text);
    done(answer.status, json ?? answer.text);
    if (answer.status < 200 || answer.status > 299) {
      throw new ApiError(answer.status, json?.error ?? json?.message ?? `Status ${answer.status}`);
    }
    return json;
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A request by XMLHttpRequest, because fetch tells nothing of an upload's progress. */
function put(method, url, headers, body, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = reject;
    request.send(body);
  });
}
