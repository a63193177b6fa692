"""Renders the chart for every file of ci/, and checks what comes out.

The rules themselves are checked too: each fault of FAULTS is planted into a rendering, and has to
be found. So does what the chart refuses, in REFUSED.
"""

import copy
import pathlib
import re
import sys
import warnings

import helm_python
import kubernetes_validate
import yaml

import rules

ROOT = pathlib.Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/media-lab"
VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
# Kinds of other projects, for which Kubernetes has no schema.
FOREIGN = ("Certificate", "ExternalSecret", "HTTPRoute", "PodMonitor", "ScaledObject")


class Known:
    """What the source says."""

    def __init__(self):
        text = (ROOT / ".env.example").read_text()
        self.settings = dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text, re.M))
        self.secrets = {"DATABASE_URL", "BOT_DATABASE_URL", "MEDIA_DATABASE_URL", "FAL_KEY",
                        "TELEGRAM_BOT_TOKEN", "YOOKASSA_SHOP_ID", "YOOKASSA_SECRET_KEY",
                        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        self.drain = number("proto/src/service/grpc.rs", "DRAIN_MAX")


def number(file, constant):
    """The number in the line that declares a constant."""
    found = re.search(rf"const {constant}: \w+ = (?:\w+::from_secs\()?(\d+)",
                      (ROOT / file).read_text())
    if not found:
        sys.exit(f"{file}: {constant} is not there any more; mend deploy/checks/chart.py")
    return int(found.group(1))


def read(file):
    return yaml.safe_load(file.read_text())


def render(values):
    chart = helm_python.Chart.load(str(CHART))
    rendered = chart.render(values, name="lab", namespace="apps")
    return [doc for text in rendered.values() for doc in yaml.safe_load_all(text) if doc]


def findings(docs, known):
    return [finding for rule in rules.RULES for finding in rule(docs, known)]


def check_schemas(docs):
    for doc in docs:
        if doc["kind"] in FOREIGN:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(doc, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"Kubernetes {version}: {rules.name_of(doc)}: {error.message}"


def check_source():
    """The chart's copies of what the code fixes."""
    text = (CHART / "templates/_services.tpl").read_text()
    body = re.search(r'define "media-lab.services" -}}\n(.*?){{- end', text, re.S).group(1)
    services = yaml.safe_load(body)
    store = "billing-svc/src/store/"
    counted = {
        # One more: verify reads over a connection of its own.
        "billing-svc": 1 + sum(number(store + "postgres/mod.rs", name) for name in
                               ("BATCHES", "SMALL_WRITES", "READERS"))
        + number(store + "stats.rs", "STATS_CONNECTIONS"),
        "payment-gateway": 0,
        "media-worker": number("media-worker/src/store/database.rs", "CONNECTIONS_MAX"),
        "bot-gateway": number("bot-gateway/src/store/connect.rs", "POSTGRES_CONNECTIONS_MAX"),
    }
    for name, connections in counted.items():
        if services[name]["connections"] != connections:
            yield f"{name} opens {connections} connections, the chart counts {services[name]['connections']}"
    router = (ROOT / "payment-gateway/src/router.rs").read_text()
    for path in ("/yookassa/webhook", "/return"):
        if f'"{path}"' not in router:
            yield f"payment-gateway does not serve {path}, which the chart makes public"
    known = Known()
    schema = read(CHART / "values.schema.json")
    for service in ("billing", "payments", "worker", "bot"):
        for variable in schema["properties"][service]["properties"]["settings"]["properties"]:
            if variable not in known.settings:
                yield f"values.schema.json: {variable} is no setting of .env.example"
    yield from open_objects(schema, "values.schema.json")


def open_objects(schema, path):
    """Objects that accept names which nobody has thought of."""
    if schema.get("type") == "object" and schema.get("additionalProperties", True) is True:
        yield f"{path}: accepts unknown names"
    for name, inner in schema.get("properties", {}).items():
        yield from open_objects(inner, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from open_objects(schema["items"], f"{path}[]")


def pod(docs, name):
    return next(doc for doc in docs if doc["kind"] in ("Deployment", "Job")
                and doc["metadata"]["name"] == name)["spec"]["template"]["spec"]


def one(docs, kind, name):
    return next(doc for doc in docs if (doc["kind"], doc["metadata"]["name"]) == (kind, name))


def container(docs, name):
    return pod(docs, name)["containers"][0]


# A fault, planted into the rendering of minimal.yaml, and a word of the finding that it must cause.
FAULTS = [
    (lambda d: d.append(copy.deepcopy(one(d, "Service", "billing-svc"))), "there are two"),
    (lambda d: one(d, "Service", "billing-svc")["metadata"].update(name="Billing_svc"), "no DNS name"),
    (lambda d: one(d, "Service", "billing-svc")["metadata"].pop("labels"), "is missing"),
    (lambda d: one(d, "Deployment", "bot-gateway")["spec"]["selector"]["matchLabels"].update(x="y"),
     "its own pods"),
    (lambda d: pod(d, "migration").pop("securityContext"), "pods are not restricted"),
    (lambda d: pod(d, "bot-gateway").update(automountServiceAccountToken=True), "token"),
    (lambda d: pod(d, "bot-gateway").update(hostNetwork=True), "with its host"),
    (lambda d: pod(d, "bot-gateway").pop("serviceAccountName"), "account of its own"),
    (lambda d: one(d, "ServiceAccount", "migration").pop("automountServiceAccountToken"), "hands out"),
    (lambda d: container(d, "migration")["securityContext"].pop("capabilities"), "is not restricted"),
    (lambda d: container(d, "bot-gateway").update(image="bot:latest"), "by digest"),
    (lambda d: container(d, "bot-gateway")["resources"].pop("limits"), "request = limit"),
    (lambda d: container(d, "media-worker").pop("livenessProbe"), "livenessProbe"),
    (lambda d: container(d, "media-worker")["readinessProbe"]["httpGet"].update(port="grpc"), "readinessProbe"),
    (lambda d: pod(d, "billing-svc").update(terminationGracePeriodSeconds=30), "drained"),
    (lambda d: pod(d, "billing-svc").update(volumes=[]), "no volume"),
    (lambda d: container(d, "billing-svc")["volumeMounts"][0].update(subPath="x"), "subPath"),
    (lambda d: one(d, "Deployment", "billing-svc")["spec"].pop("replicas"), "autoscaler"),
    (lambda d: pod(d, "billing-svc").pop("topologySpreadConstraints"), "not spread"),
    (lambda d: d.remove(one(d, "PodDisruptionBudget", "billing-svc")), "disruption budget"),
    (lambda d: one(d, "Deployment", "bot-gateway")["spec"].update(replicas=2), "two pollers"),
    (lambda d: one(d, "Deployment", "bot-gateway")["spec"].update(strategy={"type": "RollingUpdate"}),
     "two pollers"),
    (lambda d: one(d, "Service", "billing-svc")["spec"]["ports"][0].update(targetPort="nobody"), "listens"),
    (lambda d: one(d, "Service", "billing-svc")["spec"]["selector"].update(x="y"), "no pod of ours"),
    (lambda d: one(d, "NetworkPolicy", "bot-gateway")["spec"].update(policyTypes=["Ingress"]), "both ways"),
    (lambda d: one(d, "NetworkPolicy", "bot-gateway")["spec"]["egress"].append(
        {"ports": [{"port": 443}], "to": []}), "allows everything"),
    (lambda d: d.remove(one(d, "NetworkPolicy", "default-deny")), "denies by default"),
    (lambda d: d.remove(one(d, "NetworkPolicy", "migration")), "no network policy"),
    (lambda d: one(d, "NetworkPolicy", "billing-svc")["spec"]["egress"].append(
        {"ports": [{"port": 443}], "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}), "the internet"),
    (lambda d: container(d, "bot-gateway")["env"].append({"name": "BOT_TOKEN", "value": "x"}),
     "no setting"),
    (lambda d: container(d, "bot-gateway")["env"].append({"name": "LOG_FORMAT", "value": "x"}), "twice"),
    (lambda d: container(d, "bot-gateway")["env"][0].update(value="0.0.0.0:1"), "usual port"),
    (lambda d: container(d, "bot-gateway")["env"].append({"name": "FAL_KEY", "value": "x"}), "from a Secret"),
]

# What the chart or its schema must refuse, over minimal.yaml, and a word of the refusal.
REFUSED = [
    ({"colour": "blue"}, "colour"),
    ({"bot": {"replicas": 2}}, "replicas"),
    ({"bot": {"settings": {"NO_SUCH_SETTING": "1"}}}, "NO_SUCH_SETTING"),
    ({"billing": {"digest": "latest"}}, "digest"),
    ({"billing": {"replicas": 4}}, "connectionsMax"),
    ({"billing": {"autoscaling": {"enabled": True, "max": 9}}}, "connectionsMax"),
    ({"worker": {"replicas": 9}}, "connectionsMax"),
    ({"tls": {"certManager": {"issuer": ""}}}, "issuer"),
    ({"tls": {"certManager": {"enabled": False}}}, "tlsSecret"),
    ({"migration": {"secret": ""}}, "migration.secret"),
    ({"networkPolicy": {"database": []}}, "networkPolicy.database"),
    ({"public": {"host": "pay.example.com"}}, "networkPolicy.gateway"),
    ({"public": {"ingress": {"enabled": True}}}, "public.host"),
    ({"public": {"httpRoute": {"enabled": True}}}, "public.host"),
    ({"externalSecrets": {"enabled": True}, **{service: {"secretKey": "x"} for service in ("billing", "payments", "worker", "bot")}},
     "externalSecrets.store"),
    ({"worker": {"bucket": "s3://media-lab"}}, "worker.results"),
    ({"worker": {"results": ""}}, "worker.results"),
    ({"worker": {"keda": {"enabled": True, "max": 1}}}, "keda.prometheus"),
]


def merged(values, over):
    both = dict(values)
    for key, value in over.items():
        both[key] = merged(both.get(key, {}), value) if isinstance(value, dict) else value
    return both


def check_the_checks(known):
    minimal = read(CHART / "ci/minimal.yaml")
    docs = render(minimal)
    for number_of_fault, (plant, word) in enumerate(FAULTS):
        broken = copy.deepcopy(docs)
        plant(broken)
        if not any(word in finding for finding in findings(broken, known)):
            yield f"planted fault {number_of_fault} ({word}) was not found"
    broken = copy.deepcopy(docs)
    container(broken, "bot-gateway")["imagePullPolice"] = "Always"
    if not any("imagePullPolice" in finding for finding in check_schemas(broken)):
        yield "an unknown field passes the schemas"
    for over, word in REFUSED:
        try:
            render(merged(minimal, over))
            yield f"the chart accepts {over}"
        except helm_python.HelmError as error:
            if word not in str(error):
                yield f"the chart refuses {over} without a word of {word}: {error}"


def main():
    warnings.simplefilter("ignore")
    known = Known()
    bad = list(check_source())
    files = sorted((CHART / "ci").glob("*.yaml"))
    for file in files:
        values = read(file)
        for version in VERSIONS:
            bad += helm_python.lint(str(CHART), values, strict=True, kube_version=f"v{version}.0")["errors"]
        docs = render(values)
        if docs != render(values):
            bad.append("two renderings differ")
        found = list(check_schemas(docs)) + findings(docs, known)
        bad += [f"{file.name}: {finding}" for finding in found]
        print(f"{file.name}: {len(docs)} documents, {len(found)} findings")
    bad += check_the_checks(known)
    print(f"{len(FAULTS)} planted faults, {len(REFUSED)} refusals")
    for line in bad:
        print(f"  {line}", file=sys.stderr)
    sys.exit(1 if bad or not files else 0)


if __name__ == "__main__":
    main()
