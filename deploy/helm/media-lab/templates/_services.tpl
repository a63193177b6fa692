{{/*
What the code fixes about each service: ports, settings for them, secret variables, whom it calls,
connections of one process to PostgreSQL. Everything else is made from this.
*/}}
{{- define "media-lab.services" -}}
billing-svc:
  key: billing
  admin: {variable: BILLING_ADMIN_LISTEN, port: 9101}
  grpc: {variable: BILLING_LISTEN, port: 50051}
  secrets: [DATABASE_URL]
  connections: 17
  callers: [payment-gateway, media-worker, bot-gateway]
payment-gateway:
  key: payments
  admin: {variable: PAYMENTS_ADMIN_LISTEN, port: 9102}
  grpc: {variable: PAYMENTS_LISTEN, port: 50052}
  http: {variable: PAYMENTS_HTTP_LISTEN, port: 8080}
  secrets: [YOOKASSA_SHOP_ID, YOOKASSA_SECRET_KEY]
  connections: 0
  callers: [bot-gateway]
  calls: {BILLING_URL: billing-svc}
  internet: true
media-worker:
  key: worker
  admin: {variable: MEDIA_ADMIN_LISTEN, port: 9103}
  grpc: {variable: MEDIA_LISTEN, port: 50053}
  http: {variable: MEDIA_HTTP_LISTEN, port: 8081}
  secrets: [MEDIA_DATABASE_URL, FAL_KEY]
  connections: 10
  callers: [bot-gateway]
  calls: {BILLING_URL: billing-svc}
  internet: true
bot-gateway:
  key: bot
  admin: {variable: BOT_ADMIN_LISTEN, port: 9104}
  secrets: [TELEGRAM_BOT_TOKEN, BOT_DATABASE_URL]
  connections: 10
  callers: []
  calls: {BILLING_URL: billing-svc, PAYMENTS_URL: payment-gateway, MEDIA_URL: media-worker}
  internet: true
{{- end -}}

{{/* The most replicas a service can have. */}}
{{- define "media-lab.replicasMax" -}}
{{- $v := .values -}}
{{- if eq .name "bot-gateway" -}}1
{{- else if and $v.autoscaling $v.autoscaling.enabled -}}{{ $v.autoscaling.max | int }}
{{- else if and $v.keda $v.keda.enabled -}}{{ $v.keda.max | int }}
{{- else -}}{{ $v.replicas | int }}
{{- end -}}
{{- end -}}

{{- define "media-lab.selector" -}}
app.kubernetes.io/name: media-lab
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "media-lab.labels" -}}
{{ include "media-lab.selector" . }}
app.kubernetes.io/part-of: media-lab
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "media-lab.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "media-lab.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "media-lab.tlsSecret" -}}
{{- if .root.Values.tls.certManager.enabled -}}{{ .name }}-tls
{{- else -}}{{ required (printf "%s.tlsSecret: needed without tls.certManager" .key) .values.tlsSecret }}
{{- end -}}
{{- end -}}
