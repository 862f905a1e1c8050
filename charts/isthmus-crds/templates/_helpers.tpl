{{/* Uninstalling the chart, or a mistake in an upgrade, must not delete every Bridge of the cluster. */}}
{{- define "isthmus-crds.annotations" -}}
{{ toYaml (merge (dict "helm.sh/resource-policy" "keep") .Values.annotations) }}
{{- end -}}

{{- define "isthmus-crds.labels" -}}
{{ toYaml (merge (dict
  "app.kubernetes.io/name" "isthmus-crds"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/part-of" "isthmus"
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
) .Values.labels) }}
{{- end -}}
