{{/* A pod on each node of the servers', which has all images of the catalog once it is ready. */}}
{{- define "stateroom.prepull" -}}
{{- $images := include "stateroom.images" .root | fromJson -}}
{{- $settings := include "stateroom.kubernetes" .root | fromJson -}}
selector:
  matchLabels: {{- include "stateroom.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
updateStrategy: {rollingUpdate: {maxUnavailable: "100%"}}
template:
  metadata:
    labels: {{- include "stateroom.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  spec:
    automountServiceAccountToken: false
    enableServiceLinks: false
    terminationGracePeriodSeconds: 0
    securityContext:
      runAsNonRoot: true
      runAsUser: 1000
      seccompProfile: {type: RuntimeDefault}
    {{- with $settings.pull_secrets }}
    imagePullSecrets:
      {{- range . }}
      - {name: {{ . }}}
      {{- end }}
    {{- end }}
    {{- with $settings.node_selector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $settings.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- $last := "" }}
    initContainers:
      {{- range $image, $policy := $images }}
      - name: image-{{ sha256sum $image | trunc 10 }}
        image: {{ $image | quote }}
        imagePullPolicy: {{ $policy }}
        {{- include "stateroom.prepull_container" (list "true") | nindent 8 }}
      {{- $last = $image }}
      {{- end }}
    containers:
      - name: wait
        image: {{ $last | quote }}
        imagePullPolicy: IfNotPresent
        {{- include "stateroom.prepull_container" (list "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done") | nindent 8 }}
{{- end }}

{{- define "stateroom.prepull_container" -}}
command: [/bin/sh, -c, {{ first . | toJson }}]
resources:
  requests: {cpu: 1m, memory: 8Mi}
  limits: {memory: 64Mi}
{{ include "stateroom.security" . }}
{{- end }}
