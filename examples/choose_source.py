"""Choose the source to take for 300 handwritten digits, and open the trained network that the choice wrote."""

import tempfile

import leepjax as lj


def main() -> None:
    sources = ["cifar10", "cifar10-animals", "fashion-mnist", "random"]
    with tempfile.TemporaryDirectory() as out:
        # The race stops looking at sources that are worse with confidence; those that are left get a head each.
        choice = lj.choose("digits", sources, limit=300, out=out)
        print(choice)
        low, high = choice.interval or (None, None)
        print(f"\ntake {choice.source}: accuracy {choice.value:.3f}, between {low:.3f} and {high:.3f}")
        # The network is a source like any other, with the classes of the target.
        chosen = lj.load_source(choice.path)
        print(f"written: {chosen.card.model} with {chosen.card.num_classes} classes")


if __name__ == "__main__":
    main()
