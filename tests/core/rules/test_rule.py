from condord.core.rules.rule import Condition, Rule, RuleMatch


def test_by_default_a_rule_is_a_warning_at_mark_for_every_condor_without_delay():
    rule = Rule(name="r", when=(Condition(quantity="tested"),))
    assert (rule.severity, rule.basis, rule.match, rule.for_seconds) == ("warning", "mark", RuleMatch(), 0.0)
    assert (rule.scope, rule.notify, rule.repeat_minutes, rule.enabled, rule.built_in) == (
        "condor",
        None,
        0,
        True,
        False,
    )
