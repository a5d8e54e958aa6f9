import json
import pickle
from copy import copy, deepcopy

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.config.credentials import Credentials
from condord.host.secret import Secret


@settings(deadline=None)  # the machine may be busy
@given(text=st.text(min_size=4))
def test_only_reveal_shows_a_secret(text):
    secret = Secret(text)
    assert secret.reveal() == text
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{secret:>9}", "%s %r" % (secret, [secret])]  # noqa: UP031
    assert {each.replace("Secret(***)", "***").strip() for each in shown} == {"***", "*** [***]"}


@pytest.mark.parametrize(
    "leak", [pickle.dumps, copy, deepcopy, json.dumps, msgspec.json.encode, msgspec.to_builtins, hash, vars]
)
def test_a_secret_is_not_copied_encoded_or_hashed(leak):
    credentials = Credentials(key_id=Secret("id"), secret_key=Secret("hush"), origin="here")
    assert "hush" not in repr(credentials)
    for each in (Secret("hush"), credentials):
        if each is credentials and leak is copy:
            continue  # a shallow copy holds the same Secret
        with pytest.raises(TypeError):
            leak(each)


def test_secrets_are_equal_when_their_texts_are():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("é\udcff") == Secret("é\udcff")
