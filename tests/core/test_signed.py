import pytest

from condord.core.signed import signed_dollars


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1234.5, "+1,234.50"), (-0.01, "-0.01"), (0.0, "0.00"), (-0.0, "0.00"), (0.004, "0.00"), (-0.004, "0.00")],
)
def test_an_amount_has_its_sign_and_zero_has_none(amount, text):
    assert signed_dollars(amount) == text
