"""What chapter C says: a winner only where the numbers have one, and what they cannot say."""

from itertools import combinations

import numpy as np
import pandas as pd

from mien.evaluation.calibration import risk_coverage
from mien.evaluation.paired_tests import compare
from mien.report import conclusions, sentences


def models(*right: int, n: int = 60) -> tuple[dict, pd.DataFrame]:
    """Scores and pairs of models A, B, … that are right on the first so many of n images."""
    truth = ["sad"] * n
    answers = {
        name: ["sad"] * k + ["happy"] * (n - k) for name, k in zip("ABCD", right, strict=False)
    }
    pairs = compare(truth, answers, range(n), pairs=list(combinations(answers, 2)))
    scores = {
        name: {
            "accuracy": k / n,
            "n": n,
            "accuracy_ci95": [0, 1],
            "f1_macro": k / n,
            "balanced_accuracy": k / n,
        }
        for name, k in zip("ABCD", right, strict=False)
    }
    return scores, pairs


SEEN = {"alone_80": 0.177, "alone_50": 0.124, "holm_80": 0.22, "holm_50": 0.165, "pairs": 6}


COSTS = {
    name: {"trained_here": True, "seconds": 90, "labels": 0 if name == "A" else 60}
    for name in "ABCD"
}


def verdict(scores, pairs, costs=COSTS, rivals=()):
    return conclusions.verdict(scores, pairs, costs, detectable=SEEN, rivals=dict(rivals))


def test_a_separated_pair_has_a_winner_whatever_its_order():
    for right, better, worse in [((50, 20), "A", "B"), ((20, 50), "B", "A")]:
        sentence = conclusions.comparison(models(*right)[1].iloc[0])
        assert sentence.startswith(f"{better} is better than {worse}: +50.0 points on 60 images")
        assert "p < 0.001" in sentence


def test_a_pair_that_is_not_separated_has_no_winner():
    sentence = conclusions.comparison(models(31, 30)[1].iloc[0])
    assert sentence.startswith("The data do not separate A and B: +1.7 points")
    assert "better" not in sentence


def test_a_pair_that_only_alone_would_be_separated_has_no_winner():
    row = models(34, 30, 31)[1].iloc[0]
    assert row["ci_low"] > 0 and row["p"] < 0.05 < row["p_holm"]
    assert "do not separate the two" in conclusions.comparison(row)


def test_a_pair_of_networks_says_how_many_were_trained():
    row = dict(models(50, 20)[1].iloc[0]) | {"a": "NN-FineTuned", "b": "NN-FER2013"}
    for told in (conclusions.comparison(row), sentences.one_pair(row)):
        assert "this one trained network" in told
        assert "this one" not in told.replace("this one trained network", "")
    assert "3 trained networks" in conclusions.comparison(row | {"trainings": 3})
    designed = row | {"a": "SVM-FER2013", "b": "SVM-OpenFace"}
    assert "network" not in conclusions.comparison(designed)


def test_verdict_with_a_clear_winner():
    first, second = verdict(*models(10, 55, 30))
    assert first.startswith("B reads this person best, right on 91.7 % of 60 labelled faces")
    assert "the next, C, is behind: +41.7 points" in first
    assert second == "B took 1.5 minutes of training and 60 labelled faces of the person."


def test_verdict_without_a_winner_says_so():
    scores, pairs = models(50, 49, 10)
    first, second = verdict(scores, pairs)
    assert first.startswith("A has the highest accuracy")
    assert "the data do not separate it from B" in first
    assert "a true difference of 22.0 points is found four times in five, one of 16.5" in first
    assert "it is better than C" in first
    assert "best" not in first
    assert second == (
        "A took 1.5 minutes of training and 0 labelled faces of the person; "
        "B took 1.5 minutes of training and 60 labelled faces of the person."
    )


def test_verdict_names_who_would_win_by_another_measure():
    scores, pairs = models(50, 49, 10)
    assert "would be first" not in verdict(scores, pairs)[1]
    scores["B"] |= {"f1_macro": 0.9}
    scores["C"] |= {"balanced_accuracy": 0.95}
    second = verdict(scores, pairs)[1]
    assert second.startswith("By macro F1 B would be first (90.0 %, A 83.3 %). By balanced acc")
    assert "C would be first (95.0 %, A 83.3 %). A took" in second


def test_verdict_does_not_hide_a_rival_that_is_right_more_often():
    scores, pairs = models(50, 49, 10)
    rivals = {"HOG + LR": {"accuracy": 0.85}, "patches + LR": {"accuracy": 0.5}}
    second = verdict(scores, pairs, rivals=rivals)[1]
    assert second.startswith("Of the rivals, these are right more often: HOG + LR (85.0 %). A ")


def test_folds_are_told_in_the_order_in_which_they_were_subtracted():
    test = {"a": "A", "b": "B", "mean": -0.1, "ci95": [-0.3, 0.1], "p": 0.2}
    told = conclusions.fold_by_fold(test)
    assert told.startswith("Fold by fold, A minus B is −10.0 points (Nadeau")


def test_verdict_is_the_same_in_any_order_of_the_models():
    scores, pairs = models(10, 55, 30)
    turned = dict(reversed(scores.items()))
    assert verdict(turned, pairs) == verdict(scores, pairs)


def test_what_is_compared_names_what_is_missing_and_why():
    found = {
        "models": ["SVM-OpenFace", "NN-FER2013"],
        "missing": {"SVM-FER2013": "no <b>FER2013</b>"},
        "came_trained": ["NN-FER2013"],
    }
    told = conclusions.compared(found)
    assert told.startswith("This study compares **SVM-OpenFace and NN-FER2013**. It has no SVM-FER")
    assert "<b>" not in told
    assert "NN-FER2013 is the network that comes with mien" in told


def test_a_cost_that_is_not_known_is_said_to_be_unknown():
    scores, pairs = models(31, 30)
    unknown = COSTS | {"A": {"trained_here": True, "seconds": None, "labels": 0}}
    assert "A took an unknown time of training" in verdict(scores, pairs, unknown)[1]
    came = COSTS | {"A": {"trained_here": False, "seconds": None, "labels": 0}}
    assert "A took no training here" in verdict(scores, pairs, came)[1]


OTHERS = [{"profile": "quick", "processor": f"P{place}", "private": 0.697, "as_it_is": as_it_is,
           "fine_tuned": 0.78} for place, as_it_is in enumerate((0.77, 0.69))]  # fmt: skip


LIMITS = {"faces": 98, "clips": 62, "pairs": 6, "undecided": 4, "detectable": SEEN, "unknown": 12,
          "rated": 11, "raters": 2, "models": ["NN-FER2013"], "trainings": 1,
          "other_trainings": OTHERS, "second_labels": None,
          "set_in_view": [{"choice": "c", "among": "d", "worth": "e"}]}  # fmt: skip


def test_limits_say_what_could_have_been_seen():
    told = conclusions.limits(LIMITS)
    assert "one of 16.5 every other time" in told and "; 4 of 6 pairs" in told
    nothing = LIMITS | {"detectable": SEEN | {"holm_80": None}}
    assert "no true difference could be expected to be found" in conclusions.limits(nothing)
    assert "Action Units" not in told
    assert "may flatter: c. Tried beside it: d. Worth: e." in told
    assert "Action Units" in conclusions.limits(LIMITS | {"models": ["SVM-OpenFace"]})
    assert "presences" not in told


def test_limits_quote_what_other_trainings_gave_where_there_was_one():
    told = conclusions.limits(LIMITS)
    assert "77.0 % of the person as it is" in told and "69.0 % of the person as it is" in told
    assert "69.0 %" not in conclusions.limits(LIMITS | {"trainings": 3})
    assert "3 networks were trained" in conclusions.limits(LIMITS | {"trainings": 3})
    assert "network" not in conclusions.limits(LIMITS | {"models": ["SVM-OpenFace"]})


def test_limits_say_how_far_a_second_labeller_agreed():
    assert "nobody measured how far" in conclusions.limits(LIMITS)
    told = conclusions.limits(LIMITS | {"second_labels": {"n": 40, "raters": 0.85}})
    assert "of 40 faces on which raters have a majority it is the label on 85.0 %." in told


def test_a_majority_of_two_raters_is_said_to_be_unanimity():
    assert "unanimity" in conclusions.limits(LIMITS)
    assert "unanimity" not in conclusions.limits(LIMITS | {"raters": 3})


def test_kappa_changes_have_intervals_and_no_verdict():
    groups = pd.DataFrame({
        "added": ["", "NN-FER2013"], "n": [12, 12], "change": [np.nan, -0.08],
        "change_low": [np.nan, -0.33], "change_high": [np.nan, 0.14],
    })  # fmt: skip
    told = conclusions.kappa_changes(groups)
    assert "NN-FER2013 changes it by −0.08 (95 % interval −0.33 to +0.14, 12 faces)" in told
    assert told.endswith("The intervals are given without a verdict.")
    assert "no agreement" in conclusions.kappa_changes(groups[:1])


def test_the_choice_says_whether_anything_could_leak():
    fitted = {"model": "B3", "accuracy_ci95_corrected": [0.7, 0.9]}
    assert "interval for repeated folds is 70.0 to 90.0 %" in conclusions.choice(fitted, "B3 wins.")
    assert "nothing could leak" in conclusions.choice({"model": "B2"}, "B2 wins.")


def test_declared_pairs_name_those_that_are_separated():
    told = conclusions.declared(models(55, 20, 21)[1], SEEN)
    assert told.startswith("Of 3 declared pairs the data separate 2 (A from B and A from C); a tr")
    assert "the data separate 0; a true" in conclusions.declared(models(30, 31)[1], SEEN)


def test_the_largest_difference_and_what_the_person_s_emotions_are_worth():
    rows = [
        {"a": "x", "b": "y", "difference": 0.1, "separated": False},
        {"a": "y", "b": "z", "difference": -0.2, "separated": True},
    ]
    more = {
        "clips": 40,
        "ci_low": -0.3,
        "ci_high": -0.1,
        "p": 0.01,
        "p_holm": 0.02,
        "n": 80,
        "trainings": 1,
    }
    pairs = pd.DataFrame([row | more for row in rows])
    told = conclusions.all_alike({"models": 3, "clips": 40, "p": 0.5}, pairs)
    assert "The largest difference of a declared pair: z is better than y: " in told
    scores = {
        ("NN", "target-labelled", "the person's"): {"accuracy": 0.77, "n": 87},
        ("NN", "target-labelled", "all seven"): {"accuracy": 0.724, "n": 87},
        ("NN", "target-unknown", "the person's"): {"accuracy": 0.8, "n": 10},
    }
    told = conclusions.restricted(scores)
    assert told == "- NN: With all seven emotions allowed, −4.6 points on the 87 labelled faces."
    assert conclusions.restricted({}) == "No model of the crowd answers here."


def test_what_may_be_answered_is_said_and_where_nothing_may():
    sure = risk_coverage([0.9, 0.8, 0.5, 0.4], [True, True, False, True])
    never = risk_coverage([0.9], [False])
    said = conclusions.abstaining({"NN-FER2013": sure, "SVM-OpenFace": never}, 0.1)
    assert "NN-FER2013 50.0 % (from a probability of 0.80 on); SVM-OpenFace 0.0 %." in said


CARD = {
    "model": "NN-FineTuned", "learned_from": "pictures", "emotions": ["happy", "sad"],
    "columns": [], "accuracy": 0.8, "accuracy_ci95": [0.7, 0.9], "faces": 60, "clips": 30,
    "among": ["NN-FER2013", "NN-FineTuned"], "allowed": 0.1,
    "coverage": [{"allowed": 0.1, "threshold": 0.62, "coverage": 0.7, "error": 0.09}],
}  # fmt: skip


def test_the_card_of_the_persons_model_says_when_it_is_unsure():
    said = conclusions.winner(CARD)
    assert "80.0 %" in said and "happy and sad" in said and "30 clips" in said
    assert "Under a probability of 0.62" in said and "answered 70.0 %" in said
    never = [{"allowed": 0.1, "threshold": float("nan"), "coverage": 0.0, "error": float("nan")}]
    said = conclusions.winner(CARD | {"coverage": never, "columns": ["jawOpen"]})
    assert "always unsure" in said and "1 measured column" in said and "nan" not in said


def test_a_test_of_all_models_at_once_claims_a_difference_only_where_there_is_one():
    pairs = models(31, 30)[1]
    differ = conclusions.all_alike({"models": 5, "clips": 48, "p": 0.0123}, pairs[:0])
    assert "the 5 models and rivals are not all equally often right" in differ
    assert differ.endswith("(Cochran's Q over 48 clips, p = 0.012).")
    alike = conclusions.all_alike({"models": 5, "clips": 48, "p": 0.05}, pairs)
    assert "may all be equally" in alike
    assert "largest difference of a declared pair: The data do not separate A and B: +1.7" in alike


def test_what_could_have_been_seen_is_said_of_a_pair_alone_and_of_all():
    assert conclusions.seen(SEEN) == (
        "a true difference of 22.0 points is found four times in five, one of 16.5 every other "
        "time (of the 6 declared pairs the strictest test, Holm; a pair alone: 17.7 and 12.4)"
    )


def test_a_curve_rises_only_where_the_data_say_so():
    points = pd.DataFrame({"model": ["m"] * 2, "faces": [4, 9], "accuracy": [0.3, 0.5]})
    row = {"model": "m", "before": 4, "faces": 9, "gain": 0.2, "low": -0.1, "high": 0.5}
    assert conclusions.curve(points, pd.DataFrame([row])) == (
        "Right, by the number of faces learned from: m 30.0 % with 4 and 50.0 % with 9. From 4 to "
        "9 faces m gained +20.0 points (95 % interval −10.0 to +50.0 points): whether it still "
        "rises, the data do not say."
    )


def test_how_many_labels_a_model_needs_is_said_with_the_best_guess_for_few():
    ahead = {"model": "NN-FineTuned", "faces": 20, "ahead": 0.04, "ahead_low": -0.01,
             "ahead_high": 0.09}  # fmt: skip
    guesses = pd.DataFrame({"faces": [10, 40], "model": ["", "m"], "accuracy": [0.7, 0.8]})
    assert conclusions.labels_needed(ahead, guesses) == (
        "NN-FineTuned, the best with all labels, is ahead of NN-FER2013 from 20 labelled faces on; "
        "with all of them by +4.0 points (95 % interval −1.0 to +9.0 points, paired, over clips, "
        "of this pair alone; the data cannot tell the two apart). The best guess is, with 10 "
        "NN-FER2013 as it is (70.0 %) and with 40 m (80.0 %)."
    )
    never = conclusions.labels_needed(ahead | {"faces": None, "ahead_low": 0.01}, guesses[:0])
    assert "is never ahead of NN-FER2013 to stay; with all of them by +4.0 points" in never
    assert never.endswith("of this pair alone).")
