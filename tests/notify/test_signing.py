import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from condord.host.secret import Secret
from condord.notify.signing import key_of, signature
from tests.notify.builders import SECRET


def test_the_example_of_the_specification_has_its_signature():
    key = key_of(Secret(SECRET))
    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.dictionaries(st.text(), st.text()))
def test_the_reference_library_verifies_a_signature(data):
    body = json.dumps(data).encode()
    now = int(dt.datetime.now(dt.UTC).timestamp())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = signature(key_of(Secret(SECRET)), "msg_1", now, body)
    assert Webhook(SECRET).verify(body, headers) == data
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_not base64", "whsec_abc"])
def test_a_secret_that_is_not_base64_gives_no_key(text):
    assert key_of(Secret(text)) is None
