{{/* Names, labels, and what pods have in common. */}}

{{- define "stateroom.hub" -}}{{ .Release.Name }}-hub{{- end }}
{{- define "stateroom.proxy" -}}{{ .Release.Name }}-proxy{{- end }}

{{/* The parsed catalog; {} where the text is none, which the check hook then tells. */}}
{{- define "stateroom.catalog" -}}
{{- $catalog := fromYaml .Values.catalog -}}
{{- if hasKey $catalog "Error" }}{{ $catalog = dict }}{{ end -}}
{{- toJson $catalog -}}
{{- end }}

{{/* The catalog's `kubernetes`, as JSON. */}}
{{- define "stateroom.kubernetes" -}}
{{- $settings := get (include "stateroom.catalog" . | fromJson) "kubernetes" -}}
{{- ternary $settings dict (kindIs "map" $settings) | toJson -}}
{{- end }}

{{/* The namespace of the servers. */}}
{{- define "stateroom.namespace" -}}
{{- get (include "stateroom.kubernetes" . | fromJson) "namespace" | default .Release.Namespace -}}
{{- end }}

{{/* The name of what is in the servers' namespace, where other releases may have theirs. */}}
{{- define "stateroom.name_there" -}}
{{- if eq (include "stateroom.namespace" .) .Release.Namespace -}}
{{ .Release.Name }}
{{- else -}}
{{ .Release.Namespace }}.{{ .Release.Name }}
{{- end }}
{{- end }}

{{/* The hub's id: always the same for a release, so that an install after an uninstall finds its homes. */}}
{{- define "stateroom.hub_id" -}}
{{- $id := printf "%s.%s" .Release.Namespace .Release.Name -}}
{{- if gt (len $id) 63 }}{{ $id = printf "%s-%s" (trunc 50 $id) (sha256sum $id | trunc 12) }}{{ end -}}
{{- get (include "stateroom.catalog" . | fromJson) "hub" | default $id -}}
{{- end }}

{{/* The catalog's images that the nodes are to have, with the policy for pulling them. */}}
{{- define "stateroom.images" -}}
{{- $images := dict -}}
{{- $listed := get (include "stateroom.catalog" . | fromJson) "images" -}}
{{- range (ternary $listed list (kindIs "slice" $listed)) -}}
{{- if and (kindIs "map" .) (get . "image") (ne (get . "pull") "never") (or (get . "deprecated") (not (get . "replaced_by"))) -}}
{{- $_ := set $images (toString .image) (ternary "Always" "IfNotPresent" (eq (get . "pull") "always")) -}}
{{- end -}}
{{- end -}}
{{- toJson $images -}}
{{- end }}

{{- define "stateroom.selector" -}}
app.kubernetes.io/name: stateroom
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stateroom.labels" -}}
{{ include "stateroom.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The pods of this hub's servers. */}}
{{- define "stateroom.servers" -}}
io.stateroom.hub: {{ include "stateroom.hub_id" . | quote }}
io.stateroom.kind: server
{{- end }}

{{- define "stateroom.image" -}}
{{- $own := (index .root.Values .part).image -}}
{{- $built := printf "stateroom/%s:%s" .part .root.Chart.AppVersion -}}
{{- $own | default (ternary (printf "%s/%s" (.root.Values.registry | trimSuffix "/") $built) $built (ne .root.Values.registry "")) -}}
{{- end }}

{{/* What every pod's spec has: where it may run, and as whom. */}}
{{- define "stateroom.pod" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.pull_secrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.node_selector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priority_class }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What every container has. */}}
{{- define "stateroom.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* What a container of the hub's image knows of this release; commands read it too. */}}
{{- define "stateroom.environment" -}}
- {name: STATEROOM_HUB_ID, value: {{ include "stateroom.hub_id" . | quote }}}
- {name: STATEROOM_HUB_URL, value: "http://{{ include "stateroom.hub" . }}.{{ .Release.Namespace }}:8081"}
{{- with .Values.host }}
- {name: STATEROOM_HOST_NAMES, value: {{ include "stateroom.host_names" $ | quote }}}
{{- end }}
- {name: STATEROOM_PROXY_API_URL, value: "http://{{ include "stateroom.proxy" . }}-api:8001"}
{{- end }}

{{/* Where the hub is below its host, as `base_url` of its configuration has it, without a slash at its end. */}}
{{- define "stateroom.base_url" -}}
{{- dig "JupyterHub" "base_url" "/" .Values.hub.config | trimSuffix "/" -}}
{{- end }}

{{/* The URL below which each user's servers have a host name, "" where they have none. */}}
{{- define "stateroom.host_names" -}}
{{- if and .Values.host .Values.host_names -}}
{{ include "stateroom.scheme" . }}://{{ .Values.host }}
{{- end }}
{{- end }}

{{/* All names by which people reach the hub and users' servers, as JSON. */}}
{{- define "stateroom.hosts" -}}
{{ ternary (list .Values.host (printf "*.%s" .Values.host)) (list .Values.host) .Values.host_names | toJson }}
{{- end }}

{{/* How people reach the hub at `host`. */}}
{{- define "stateroom.scheme" -}}
{{ ternary "https" "http" (or .Values.route.enabled (ne .Values.ingress.tls_secret "")) }}
{{- end }}

{{- define "stateroom.secret" -}}
{{ .Values.secret | default (printf "%s-secrets" .Release.Name) }}
{{- end }}

{{/* The cluster's DNS, wherever its pods are, and a cache of it on the node. */}}
{{- define "stateroom.to_dns" -}}
- to:
    - {namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}
    - ipBlock: {cidr: 169.254.20.10/32}
  ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}

{{/* An account in the hub's namespace, and what it may do in the servers'. `notes` are annotations, of hooks. */}}
{{- define "stateroom.account" -}}
{{- $name := printf "%s-%s" .root.Release.Name .part }}
{{- $there := printf "%s-%s" (include "stateroom.name_there" .root) .part }}
{{- $labels := include "stateroom.labels" .root }}
{{- $notes := "" }}
{{- with .notes }}{{ $notes = dict "annotations" . | toYaml }}{{ end }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- $labels | nindent 4 }}
  {{- $notes | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $there }}
  namespace: {{ include "stateroom.namespace" .root }}
  labels: {{- $labels | nindent 4 }}
  {{- $notes | nindent 2 }}
rules: {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $there }}
  namespace: {{ include "stateroom.namespace" .root }}
  labels: {{- $labels | nindent 4 }}
  {{- $notes | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $there }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}
