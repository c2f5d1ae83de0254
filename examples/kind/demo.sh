#!/bin/sh
# A kind cluster with nodes that stand in for France and Germany, and Comity on it: `make demo-kind`.
# Needs kind, kubectl, helm and the image (make image). Remove it with: kind delete cluster --name comity
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
image=${IMAGE:?the image that make image built}
context=kind-comity

kind create cluster --config "$here/kind-config.yaml" --wait 120s
# The administrator says where nodes stand: a kubelet may not say it of itself with this prefix.
for country in FR DE; do
    kubectl --context "$context" label nodes --selector "demo.comity.dev/country=$country" \
        "node-restriction.kubernetes.io/jurisdiction=$country"
done
kind load docker-image "$image" --name comity
helm install comity "$here/helm/comity" --kube-context "$context" --namespace comity --create-namespace --wait \
    --set "image.repository=${image%:*}" --set "image.tag=${image##*:}" \
    --set-file "documents.places\.yaml=$here/examples/kind/places.yaml"

comity() {
    kubectl --context "$context" --namespace comity exec -i comity-0 -- \
        env SSL_CERT_FILE=/etc/comity/tls/ca.crt comity "$@"
}
kubectl --context "$context" get nodes --label-columns node-restriction.kubernetes.io/jurisdiction
comity backend check kind
comity get sites
job=$(sed "s|IMAGE|$image|" "$here/examples/kind/job.yaml" | comity submit -f -)
comity wait "$job"
comity logs "$job"
comity explain "$job"
kubectl --context "$context" --namespace comity-jobs get pods --output wide
