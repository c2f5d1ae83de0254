#!/bin/sh
# Two kind clusters, fr and de, and the end-to-end tests of Kubernetes against them: `make test-kind`.
# Needs kind, kubectl, helm and a container engine. KEEP=1 leaves the clusters there.
set -eu
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
export KUBECONFIG="$work/kubeconfig" COMITY_E2E=required

end() {
    if [ -z "${KEEP:-}" ]; then
        for name in fr de; do kind delete cluster --name "$name" --kubeconfig "$KUBECONFIG"; done
        rm -rf "$work"
    fi
}
trap end EXIT

"$python" -c "from tests.e2e.kube import building; building.ensure('kubernetes', 'helm')"
images=$("$python" -m tests.e2e.kube images | grep -o '/[^ ]*\.tar')
images="$images $("$python" -m tests.e2e._comity_image)"
for name in fr de; do
    kind create cluster --name "$name" --kubeconfig "$KUBECONFIG" --wait 120s
    country=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    kubectl --context "kind-$name" label nodes --all "node-restriction.kubernetes.io/jurisdiction=$country"
    for image in $images; do kind load image-archive "$image" --name "$name"; done
done
"$python" -m pytest -q tests/e2e/test_second_fence.py tests/e2e/test_chart*.py tests/e2e/test_kubernetes*.py
