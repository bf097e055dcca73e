select id, array_remove(array[secret, previous_secret], null) as secrets
from tinychat.webhook_endpoints
where disabled_at is null
