"""Score arrays: probabilities, features and labels of the scikit-learn wine data.

The source here is a classifier of *cultivars one and two* that is asked how well it would transfer to all three.
"""

import jax
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import leepjax as lj


def main() -> None:
    features, labels = load_wine(return_X_y=True)
    features = StandardScaler().fit_transform(features).astype(np.float32)
    source = LogisticRegression().fit(features[labels < 2], labels[labels < 2])
    probs = source.predict_proba(features).astype(np.float32)

    print(f"LEEP        {lj.leep(probs, labels):.4f}")
    print(f"lift        {lj.leep_lift(probs, labels):.4f}   (an uninformative source has 0)")
    print(f"NCE         {lj.nce(probs.argmax(axis=1), labels):.4f}")
    print(f"H-score     {lj.h_score(features, labels):.4f}   (at most {labels.max()})")
    print(f"LogME       {lj.logme(features, labels):.4f}")

    # Measures are plain functions: differentiate them, or vmap them over bootstrap weights.
    gradient = jax.grad(lambda p: lj.leep(p, labels, num_classes=3))(probs)
    print(f"gradient    {gradient.shape}, finite: {bool(np.isfinite(gradient).all())}")
    resamples = np.random.default_rng(0).multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=100)
    scores = jax.vmap(lambda where: lj.leep(probs, labels, num_classes=3, where=where))(resamples.astype(np.float32))
    print(f"bootstrap   standard error {scores.std():.4f}")

    # The Expected Empirical Predictor behind LEEP is a classifier: fit on one half, predict the other.
    train, test = np.arange(len(labels)) % 2 == 0, np.arange(len(labels)) % 2 == 1
    predicted = lj.eep(probs[train], labels[train]).predict(probs[test]).argmax(axis=1)
    print(f"EEP         {np.mean(predicted == labels[test]):.3f} accuracy on the other half")


if __name__ == "__main__":
    main()
