{{- define "pointsman.name" -}}
{{- if eq .Release.Name "pointsman" }}pointsman{{ else }}{{ .Release.Name }}-pointsman{{ end }}
{{- end }}

{{- define "pointsman.selector" -}}
app.kubernetes.io/name: pointsman
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pointsman.labels" -}}
{{ include "pointsman.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: pointsman-{{ .Chart.Version }}
{{- end }}
