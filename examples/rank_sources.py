"""Rank two shipped sources for 300 handwritten digits from Python, and check the ranking."""

import leepjax as lj


def main() -> None:
    ranking = lj.rank("digits", sources=["cifar10", "random"], measures=["leep", "logme"], limit=300)
    print(ranking)
    print(f"\nbest: {ranking.best}, with test accuracy {ranking.accuracies[ranking.best]:.3f}")
    for record in ranking.to_records()[:2]:
        print(record["source"], record["measure"], round(record["value"], 4), "rank", record["rank"])


if __name__ == "__main__":
    main()
