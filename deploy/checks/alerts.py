"""Alerts name metrics that the source has; each has its page and its cases."""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).parents[2]
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "time", "max", "min", "sum", "up", "absent",
         "absent_over_time", "increase"}


def metrics():
    """Every metric that a service writes."""
    found = set()
    for crate in ("billing-svc", "payment-gateway", "media-worker", "bot-gateway", "proto"):
        for file in (ROOT / crate / "src").rglob("*.rs"):
            found |= set(re.findall(r'(?:counter|gauge|histogram)!\(\s*"(\w+)"', file.read_text()))
    return found


def named(expression):
    """The metrics that an expression asks for."""
    bare = re.sub(r'"[^"]*"|\b(?:by|without) \([^)]*\)|\{[^}]*\}|\[[^]]*\]', "", expression)
    return set(re.findall(r"\b[a-z_][a-z0-9_]*\b", bare)) - WORDS


def findings(rules, tests, known):
    tested = {(case["alertname"], bool(case["exp_alerts"]))
              for test in tests for case in test["alert_rule_test"]}
    for rule in rules:
        name = rule["alert"]
        for metric in sorted(named(rule["expr"]) - known):
            yield f"{name}: no service has the metric {metric}"
        if not {(name, True), (name, False)} <= tested:
            yield f"{name}: needs a case that fires and one that stays silent"
        if not (ROOT / rule["annotations"]["runbook_url"]).is_file():
            yield f"{name}: has no runbook"
        if rule["labels"]["severity"] not in ("page", "ticket"):
            yield f"{name}: is neither page nor ticket"
    for page in (ROOT / "deploy/runbooks").glob("*.md"):
        if page.stem not in {rule["alert"] for rule in rules}:
            yield f"{page.name}: belongs to no alert"


def main():
    folder = ROOT / "deploy/prometheus"
    rules = [rule for group in yaml.safe_load((folder / "alerts.yaml").read_text())["groups"]
             for rule in group["rules"]]
    tests = yaml.safe_load((folder / "alerts.test.yaml").read_text())["tests"]
    known = metrics()
    bad = list(findings(rules, tests, known))
    planted = {**rules[0], "alert": "Planted", "expr": "no_such_metric > 0",
               "labels": {"severity": "loud"}, "annotations": {"runbook_url": "deploy/nowhere.md"}}
    if len(list(findings([*rules, planted], tests, known))) != len(bad) + 4:
        bad.append("a planted alert with four faults was not found out")
    print(f"{len(rules)} alerts over {len(known)} metrics, {len(bad)} findings")
    for line in bad:
        print(f"  {line}", file=sys.stderr)
    sys.exit(1 if bad or not rules else 0)


if __name__ == "__main__":
    main()
