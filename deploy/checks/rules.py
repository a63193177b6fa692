"""What every rendered manifest has to keep, beyond what the schemas of Kubernetes can say.

Each rule is a generator of findings over the documents of one rendering; RULES lists them.
"""

import re


def name_of(doc):
    return f"{doc['kind']}/{doc['metadata']['name']}"


def of_kind(docs, *kinds):
    return [doc for doc in docs if doc["kind"] in kinds]


def workloads(docs):
    """(document, its pod template) of everything that runs pods."""
    return [(doc, doc["spec"]["template"]) for doc in of_kind(docs, "Deployment", "Job")]


def containers(docs):
    for doc, template in workloads(docs):
        spec = template["spec"]
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield doc, spec, container


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def names(docs, known):
    for doc in docs:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", doc["metadata"]["name"]):
            yield f"{name_of(doc)}: no DNS name"
    seen = [name_of(doc) for doc in docs]
    for twice in {name for name in seen if seen.count(name) > 1}:
        yield f"{twice}: there are two of it"


def labels(docs, known):
    wanted = {f"app.kubernetes.io/{word}" for word in
              ("name", "instance", "component", "part-of", "version", "managed-by")}
    for doc in docs:
        for label in sorted(wanted - doc["metadata"].get("labels", {}).keys()):
            yield f"{name_of(doc)}: label {label} is missing"
    for doc in of_kind(docs, "Deployment"):
        selector = doc["spec"]["selector"]["matchLabels"]
        if not selects(selector, doc["spec"]["template"]["metadata"]["labels"]):
            yield f"{name_of(doc)}: does not select its own pods"
        if "app.kubernetes.io/version" in selector:
            yield f"{name_of(doc)}: a selector cannot change with the version"


def restricted(docs, known):
    for doc, template in workloads(docs):
        pod = template["spec"].get("securityContext", {})
        if not (pod.get("runAsNonRoot") and pod.get("runAsUser", 0) > 0
                and pod.get("seccompProfile", {}).get("type") == "RuntimeDefault"):
            yield f"{name_of(doc)}: its pods are not restricted"
        if template["spec"].get("automountServiceAccountToken") is not False:
            yield f"{name_of(doc)}: has a service account's token"
        if any(template["spec"].get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{name_of(doc)}: shares something with its host"
        if template["spec"].get("serviceAccountName", "default") not in {
                account["metadata"]["name"] for account in of_kind(docs, "ServiceAccount")}:
            yield f"{name_of(doc)}: has no service account of its own"
    for doc in of_kind(docs, "ServiceAccount"):
        if doc.get("automountServiceAccountToken") is not False:
            yield f"{name_of(doc)}: hands out its token"
    for doc, _, container in containers(docs):
        context = container.get("securityContext", {})
        if not (context.get("allowPrivilegeEscalation") is False
                and context.get("readOnlyRootFilesystem") is True
                and context.get("privileged") is False
                and context.get("capabilities") == {"drop": ["ALL"]}):
            yield f"{name_of(doc)}: container {container['name']} is not restricted"


def images_and_limits(docs, known):
    for doc, _, container in containers(docs):
        if not re.search(r"@sha256:[0-9a-f]{64}$", container["image"]):
            yield f"{name_of(doc)}: the image is not named by digest"
        resources = container.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        if "cpu" not in requests or requests.get("memory") is None \
                or requests.get("memory") != limits.get("memory"):
            yield f"{name_of(doc)}: needs a request of CPU, and memory with request = limit"


def probes_and_end(docs, known):
    for doc in of_kind(docs, "Deployment"):
        spec = doc["spec"]["template"]["spec"]
        container = spec["containers"][0]
        ports = {port["name"] for port in container["ports"]}
        for probe, path in (("startupProbe", "/readyz"), ("livenessProbe", "/livez"),
                            ("readinessProbe", "/readyz")):
            get = container.get(probe, {}).get("httpGet", {})
            if get.get("path") != path or get.get("port") != "admin" or "admin" not in ports:
                yield f"{name_of(doc)}: {probe} does not ask {path} of the admin port"
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if pause < 5 or spec.get("terminationGracePeriodSeconds", 30) < pause + known.drain + 15:
            yield f"{name_of(doc)}: is killed before it can have drained"
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"{name_of(doc)}: mounts {mount['name']}, which is no volume"
            if "subPath" in mount:
                yield f"{name_of(doc)}: {mount['name']} by subPath would never be updated"


def replicas(docs, known):
    scaled = {doc["spec"]["scaleTargetRef"]["name"]
              for doc in of_kind(docs, "HorizontalPodAutoscaler", "ScaledObject")}
    deployments = {doc["metadata"]["name"]: doc["spec"] for doc in of_kind(docs, "Deployment")}
    for name in scaled - deployments.keys():
        yield f"{name}: is scaled, and there is no such Deployment"
    for name, spec in deployments.items():
        if (name in scaled) == ("replicas" in spec):
            yield f"Deployment/{name}: either replicas or an autoscaler"
        if name != "bot-gateway" and len(
                spec["template"]["spec"].get("topologySpreadConstraints", [])) != 2:
            yield f"Deployment/{name}: is not spread over zones and hosts"
    budgets = {doc["metadata"]["name"] for doc in of_kind(docs, "PodDisruptionBudget")}
    for name, spec in deployments.items():
        if (name in scaled or spec.get("replicas", 1) > 1) != (name in budgets):
            yield f"Deployment/{name}: a disruption budget belongs to several replicas, and to no single one"
    bot = deployments.get("bot-gateway", {})
    if bot.get("replicas") != 1 or bot.get("strategy") != {"type": "Recreate"} or "bot-gateway" in scaled:
        yield "Deployment/bot-gateway: two pollers could run at once"


def targets(docs, known):
    """Whatever selects pods selects some, and whatever names a port finds it."""
    pods = [template["metadata"]["labels"] for _, template in workloads(docs)]
    ports = {}
    for doc in of_kind(docs, "Deployment"):
        template = doc["spec"]["template"]
        ports[doc["metadata"]["name"]] = {
            port["name"] for port in template["spec"]["containers"][0]["ports"]}
    for doc in of_kind(docs, "Service"):
        for port in doc["spec"]["ports"]:
            if port["targetPort"] not in ports.get(doc["metadata"]["name"], ()):
                yield f"{name_of(doc)}: nobody listens on {port['targetPort']}"
    selectors = [(doc, doc["spec"]["selector"]) for doc in of_kind(docs, "Service")]
    selectors += [(doc, doc["spec"]["selector"]["matchLabels"])
                  for doc in of_kind(docs, "PodDisruptionBudget", "PodMonitor")]
    for doc in of_kind(docs, "NetworkPolicy"):
        selectors.append((doc, doc["spec"]["podSelector"].get("matchLabels", {})))
        for rule in doc["spec"].get("ingress") or []:
            selectors += peers(doc, rule["from"])
        for rule in doc["spec"].get("egress") or []:
            selectors += peers(doc, rule["to"])
    for doc, selector in selectors:
        if not any(selects(selector, labels) for labels in pods):
            yield f"{name_of(doc)}: selects no pod of ours"


def peers(doc, listed):
    return [(doc, peer["podSelector"]["matchLabels"]) for peer in listed
            if "podSelector" in peer and "namespaceSelector" not in peer]


def policies(docs, known):
    found = of_kind(docs, "NetworkPolicy")
    if not found:
        return
    both = {"Ingress", "Egress"}
    for doc in found:
        if set(doc["spec"].get("policyTypes", [])) != both:
            yield f"{name_of(doc)}: has to deny both ways"
        for rule in (doc["spec"].get("ingress") or []) + (doc["spec"].get("egress") or []):
            if not rule.get("ports") or not (rule.get("from") or rule.get("to")):
                yield f"{name_of(doc)}: a rule without ports or peers allows everything"
    if not any(doc["spec"]["podSelector"] == {} for doc in found):
        yield "there is no policy that denies by default"
    own = {doc["metadata"]["name"] for doc in found}
    for doc, _ in workloads(docs):
        if doc["metadata"]["name"] not in own:
            yield f"{name_of(doc)}: has no network policy"
    for doc in found:
        if doc["metadata"]["name"] in ("billing-svc", "migration") and "ipBlock" in str(
                [rule for rule in doc["spec"].get("egress") or []
                 if rule["ports"] != [{"port": 5432, "protocol": "TCP"}]]):
            yield f"{name_of(doc)}: may reach the internet"


def settings(docs, known):
    for doc, _, container in containers(docs):
        listed = [entry["name"] for entry in container.get("env", [])]
        for variable in listed:
            if variable not in known.settings:
                yield f"{name_of(doc)}: {variable} is no setting of .env.example"
            if listed.count(variable) > 1:
                yield f"{name_of(doc)}: {variable} is set twice"
        for entry in container.get("env", []):
            default = known.settings.get(entry["name"]) or ""
            if entry["name"].endswith("_LISTEN") \
                    and entry.get("value", "").rpartition(":")[2] != default.rpartition(":")[2]:
                yield f"{name_of(doc)}: {entry['name']} is not on its usual port"
            if entry["name"] in known.secrets and "secretKeyRef" not in entry.get("valueFrom", {}):
                yield f"{name_of(doc)}: {entry['name']} has to come from a Secret"


RULES = [names, labels, restricted, images_and_limits, probes_and_end, replicas, targets, policies,
         settings]
