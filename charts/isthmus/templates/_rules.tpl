{{/*
What the operator does in each namespace that it watches; in a ClusterRole when it watches all of them.
*/}}
{{- define "isthmus.watchedRules" -}}
# The five kinds are read, and never changed: they belong to their author.
- apiGroups: [isthmus.dev]
  resources: [bridges, connectors, sinks, sources, rules]
  verbs: [list, watch]
# What became of them is written to their status, by server-side apply.
- apiGroups: [isthmus.dev]
  resources: [bridges/status, connectors/status, sinks/status, sources/status, rules/status]
  verbs: [patch]
# Users, credentials and certificates that the kinds name, each watched by its name: for its keys, and for changes. The
# content reaches a pod as a volume. Names are not known beforehand, so the rule cannot list them; watchNamespaces
# narrows it.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
# The pods of a Bridge, in a Deployment. Here and below: get finds an object of the same name that is not ours, and
# server-side apply needs create and patch. Nothing of it is deleted: it goes with its Bridge, which owns it.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
# A Bridge's plan (ConfigMap), its way in (Service), and the account of its pods, which has no token and no rights.
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
# At most one pod of a Bridge is evicted at a time; deleted when a Bridge is scaled to one pod.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Who may reach a Bridge's pods.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
# Metrics of a Bridge's pods, where the Prometheus Operator's API exists.
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, list, watch, create, patch]
# Pods are read for what blocks a rollout, and patched with the revision of the plan, which makes the kubelet refresh
# their volume at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# Transitions are told as events; patch counts a repeated one.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
