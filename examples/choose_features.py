"""Choose features without training: measures as the last step of scikit-learn pipelines, beside a trained head.

Which extractor suits the task is what a search over the step before the measure finds; several measures are asked, and
a logistic regression on each extractor's features says who was right.
"""

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from leepjax.sklearn import TransferabilityScorer

EXTRACTORS = {
    "3 components": PCA(3),
    "32 components": PCA(32),
    "32 random directions": GaussianRandomProjection(32, random_state=0),
    "32 kernels": Nystroem(gamma=1e-3, n_components=32, random_state=0),
}
MEASURES = ("logme", "h_score", "linear_probe")


def search(measure, images, labels):
    """Each extractor's score: one "fold", whose features are scored as a whole, so that nothing is fitted to labels."""
    pipeline = Pipeline([("extractor", PCA()), ("measure", TransferabilityScorer(measure))])
    whole = [(range(len(images)), range(len(images)))]
    found = GridSearchCV(pipeline, {"extractor": list(EXTRACTORS.values())}, cv=whole, refit=False)
    return found.fit(images, labels).cv_results_["mean_test_score"]


def main():
    data = train_test_split(*load_digits(return_X_y=True), test_size=0.5, random_state=0)
    images, test_images, labels, test_labels = data
    scores = {measure: search(measure, images, labels) for measure in MEASURES}
    print(f"{'':22}{''.join(f'{name:>14}' for name in (*MEASURES, 'test accuracy'))}")
    for i, (name, extractor) in enumerate(EXTRACTORS.items()):
        head = make_pipeline(extractor, StandardScaler(), LogisticRegression()).fit(images, labels)
        accuracy = head.score(test_images, test_labels)
        print(f"{name:22}{''.join(f'{scores[measure][i]:14.3f}' for measure in MEASURES)}{accuracy:14.3f}")


if __name__ == "__main__":
    main()
