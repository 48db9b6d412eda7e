"""Compare training from a source's weights and from fresh ones, epoch by epoch, and with training only its head."""

import numpy as np

import leepjax as lj

# A training set of digits, and a test set of the same size.
digits = lj.read_target("digits")
order = np.random.default_rng(0).permutation(len(digits))
train_set, test_set = digits.subset(order[:64]), digits.subset(order[64:128])
source = lj.load_source("fashion-mnist")

# Both see the same batches with the same augmentation, and differ only in their initial weights.
recipe = lj.FineTuning(epochs=3, batch_size=16, learning_rate=0.05, seed=0)
tuned = lj.fine_tune(source, train_set, test_set, recipe=recipe)
fresh = lj.from_scratch(source, train_set, test_set, recipe=recipe)
for one, other in zip(tuned.curve, fresh.curve, strict=True):
    print(f"epoch {one.epoch}: accuracy {one.accuracy:.3f} fine-tuned, {other.accuracy:.3f} from scratch")

# The frozen network with a new head, whose accuracy transferability measures predict.
preprocessing = source.card.preprocessing
seen, unseen = (
    np.asarray(source(part.images(range(len(part)), preprocessing)).features) for part in (train_set, test_set)
)
head = lj.retrain_head(seen, train_set.labels, len(digits.classes)).head
worth = lj.metrics(head.logits(unseen), test_set.labels)
print(f"head alone: accuracy {worth.accuracy:.3f}, macro F1 {worth.macro_f1:.3f}")
