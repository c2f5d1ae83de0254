"""Train a classifier on the handwritten digits that come with scikit-learn; write the model and its accuracy.

A real, small job: no network, no accelerator, seconds of one CPU. EPOCHS says how long it learns.
"""

import json
import os
import pathlib
import time

import joblib
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

SEED = 7


def main() -> None:
    epochs = int(os.environ.get("EPOCHS", "20"))
    images, labels = load_digits(return_X_y=True)
    seen, unseen, seen_labels, unseen_labels = train_test_split(images, labels, test_size=0.25, random_state=SEED)
    scaler = StandardScaler().fit(seen)
    seen, unseen = scaler.transform(seen), scaler.transform(unseen)
    model = MLPClassifier(hidden_layer_sizes=(64,), learning_rate_init=0.003, random_state=SEED)
    began = time.monotonic()
    accuracy = 0.0
    for epoch in range(1, epochs + 1):
        model.partial_fit(seen, seen_labels, classes=range(10))
        if epoch == 1 or epoch % max(1, epochs // 10) == 0 or epoch == epochs:
            accuracy = float(accuracy_score(unseen_labels, model.predict(unseen)))
            print(f"epoch {epoch:4}  accuracy {accuracy:.3f}", flush=True)
    joblib.dump((scaler, model), "model.joblib")
    metrics = {
        "accuracy": round(accuracy, 4),
        "epochs": epochs,
        "unseen_digits": len(unseen_labels),
        "seconds": round(time.monotonic() - began, 2),
        "attempt": os.environ.get("COMITY_ATTEMPT", ""),
    }
    pathlib.Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")


if __name__ == "__main__":
    main()
