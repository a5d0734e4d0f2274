from itertools import combinations

import numpy as np
import pandas as pd

from mien.evaluation.paired_tests import compare
from mien.evaluation.rater_agreement import rater_agreement
from mien.report import sentences

SCORE = {"set": "target-labelled", "n": 86, "accuracy": 0.581, "accuracy_ci95": [0.472, 0.689],
         "f1_macro": 0.5}  # fmt: skip


def test_accuracy_sentence():
    assert sentences.accuracy(SCORE, "SVM-OpenFace") == (
        "SVM-OpenFace is right on 58.1 % of 86 labelled faces of the person "
        "(95 % interval 47.2 to 68.9 %; macro F1 50.0 %)."
    )
    assert "mean of 20 repeats" in sentences.accuracy(SCORE | {"repeats": 20})
    assert "macro F1 50.0 %; log loss 1.30" in sentences.accuracy(SCORE | {"log_loss": 1.3})


def test_a_network_is_one_training_or_the_mean_of_several():
    assert sentences.accuracy(SCORE | {"trainings": 1}, "NN-FER2013").startswith(
        "NN-FER2013 (this one trained network) is right on 58.1 %"
    )
    several = SCORE | {"trainings": 3, "accuracy_sd": 0.034}
    assert sentences.accuracy(several, "NN-FER2013").startswith(
        "NN-FER2013 (mean of 3 trained networks, standard deviation 3.4 points) is right"
    )


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


def test_a_separated_pair_has_a_winner_whatever_its_order():
    for right, better, worse in [((50, 20), "A", "B"), ((20, 50), "B", "A")]:
        sentence = sentences.comparison(models(*right)[1].iloc[0])
        assert sentence.startswith(f"{better} is better than {worse}: +50.0 points on 60 images")
        assert "p < 0.001" in sentence


def test_a_pair_that_is_not_separated_has_no_winner():
    sentence = sentences.comparison(models(31, 30)[1].iloc[0])
    assert sentence.startswith("The data do not separate A and B: +1.7 points")
    assert "better" not in sentence


def test_a_pair_that_only_alone_would_be_separated_has_no_winner():
    row = models(34, 30, 31)[1].iloc[0]
    assert row["ci_low"] > 0 and row["p"] < 0.05 < row["p_holm"]
    assert "do not separate the two" in sentences.comparison(row)


def test_a_chapter_says_of_one_pair_the_difference_and_no_winner():
    row = models(50, 20)[1].iloc[0]
    told = sentences.one_pair(row)
    assert told.startswith("A minus B: +50.0 points on 60 images")
    assert "of this pair alone" in told and "chapter C" in told and "better" not in told


def test_a_pair_of_networks_says_how_many_were_trained():
    row = dict(models(50, 20)[1].iloc[0]) | {"a": "NN-FineTuned", "b": "NN-FER2013"}
    for told in (sentences.comparison(row), sentences.one_pair(row)):
        assert "this one trained network" in told
        assert "this one" not in told.replace("this one trained network", "")
    assert "3 trained networks" in sentences.comparison(row | {"trainings": 3})
    designed = row | {"a": "SVM-FER2013", "b": "SVM-OpenFace"}
    assert "network" not in sentences.comparison(designed)


def test_verdict_with_a_clear_winner():
    first, second = sentences.verdict(*models(10, 55, 30), COSTS)
    assert first.startswith("B reads this person best, right on 91.7 % of 60 labelled faces")
    assert "the next, C, is behind: +41.7 points" in first
    assert second == "B took 1.5 minutes of training and 60 labelled faces of the person."


def test_verdict_without_a_winner_says_so():
    scores, pairs = models(50, 49, 10)
    first, second = sentences.verdict(scores, pairs, COSTS, detectable=SEEN)
    assert first.startswith("A has the highest accuracy")
    assert "the data do not separate it from B" in first
    assert "a true difference of 22.0 points is found four times in five, one of 16.5" in first
    assert "it is better than C" in first
    assert "best" not in first
    assert second == (
        "A took 1.5 minutes of training and no labelled face of the person; "
        "B took 1.5 minutes of training and 60 labelled faces of the person."
    )


def test_verdict_names_who_would_win_by_another_measure():
    scores, pairs = models(50, 49, 10)
    assert "would be first" not in sentences.verdict(scores, pairs, COSTS)[1]
    scores["B"] |= {"f1_macro": 0.9}
    scores["C"] |= {"balanced_accuracy": 0.95}
    second = sentences.verdict(scores, pairs, COSTS)[1]
    assert second.startswith("By macro F1 B would be first (90.0 %, A 83.3 %). By balanced acc")
    assert "C would be first (95.0 %, A 83.3 %). A took" in second


def test_verdict_is_the_same_in_any_order_of_the_models():
    scores, pairs = models(10, 55, 30)
    turned = dict(reversed(scores.items()))
    assert sentences.verdict(turned, pairs, COSTS) == sentences.verdict(scores, pairs, COSTS)


def test_what_is_compared_names_what_is_missing_and_why():
    found = {
        "models": ["SVM-OpenFace", "NN-FER2013"],
        "missing": {"SVM-FER2013": "no <b>FER2013</b>"},
        "came_trained": ["NN-FER2013"],
    }
    told = sentences.compared(found)
    assert told.startswith("This study compares **SVM-OpenFace and NN-FER2013**. It has no SVM-FER")
    assert "<b>" not in told
    assert "NN-FER2013 is the network that comes with mien" in told


def test_a_cost_that_is_not_known_is_said_to_be_unknown():
    scores, pairs = models(31, 30)
    unknown = COSTS | {"A": {"trained_here": True, "seconds": None, "labels": 0}}
    assert "A took an unknown time of training" in sentences.verdict(scores, pairs, unknown)[1]
    came = COSTS | {"A": {"trained_here": False, "seconds": None, "labels": 0}}
    assert "A took no training here" in sentences.verdict(scores, pairs, came)[1]


OTHERS = [{"profile": "quick", "processor": f"P{place}", "private": 0.697, "as_it_is": as_it_is,
           "fine_tuned": 0.78} for place, as_it_is in enumerate((0.77, 0.69))]  # fmt: skip
LIMITS = {"faces": 98, "clips": 62, "pairs": 6, "undecided": 4, "detectable": SEEN, "unknown": 12,
          "rated": 11, "raters": 2, "models": ["NN-FER2013"], "trainings": 1,
          "other_trainings": OTHERS}  # fmt: skip


def test_limits_say_what_could_have_been_seen():
    told = sentences.limits(LIMITS)
    assert "one of 16.5 every other time" in told and "; 4 of 6 pairs" in told
    nothing = LIMITS | {"detectable": SEEN | {"holm_80": None}}
    assert "no true difference could be expected to be found" in sentences.limits(nothing)
    assert "Action Units" not in told
    assert "Action Units" in sentences.limits(LIMITS | {"models": ["SVM-OpenFace"]})


def test_limits_quote_what_other_trainings_gave_where_there_was_one():
    told = sentences.limits(LIMITS)
    assert "77.0 % of the person as it is" in told and "69.0 % of the person as it is" in told
    assert "69.0 %" not in sentences.limits(LIMITS | {"trainings": 3})
    assert "3 networks were trained" in sentences.limits(LIMITS | {"trainings": 3})
    assert "network" not in sentences.limits(LIMITS | {"models": ["SVM-OpenFace"]})


def test_a_majority_of_two_raters_is_said_to_be_unanimity():
    assert "unanimity" in sentences.limits(LIMITS)
    assert "unanimity" not in sentences.limits(LIMITS | {"raters": 3})


def test_kappa_changes_have_intervals_and_no_verdict():
    groups = pd.DataFrame({
        "added": ["", "NN-FER2013"], "n": [12, 12], "change": [np.nan, -0.08],
        "change_low": [np.nan, -0.33], "change_high": [np.nan, 0.14],
    })  # fmt: skip
    told = sentences.kappa_changes(groups)
    assert "NN-FER2013 changes it by −0.08 (95 % interval −0.33 to +0.14, 12 faces)" in told
    assert told.endswith("So few faces allow no verdict.")
    assert "no agreement" in sentences.kappa_changes(groups[:1])


def test_the_choice_says_whether_anything_could_leak():
    fitted = {"model": "B3", "accuracy_ci95_corrected": [0.7, 0.9]}
    assert "interval for repeated folds is 70.0 to 90.0 %" in sentences.choice(fitted, "B3 wins.")
    assert "nothing could leak" in sentences.choice({"model": "B2"}, "B2 wins.")


def test_an_ablation_names_only_what_stands_out_of_the_noise():
    found = pd.DataFrame(
        {
            "choice": ["the recipe", "with mixup", "without augmentation"],
            "PublicTest accuracy": [0.5, 0.49, 0.4],
            "difference": [0, -0.01, -0.1],
        }
    )
    said = sentences.ablation(found, 0.0118, 3589)
    assert "without augmentation (−10.0 points)" in said and "mixup" not in said
    assert "under 2.4 points" in said and "noise of 3,589 images" in said
    assert "beyond it: none" in sentences.ablation(found, 0.06, 50)


def test_trials_name_the_best_batch_size():
    best = {"epochs": 3, "batch_size": 32, "accuracy": 0.5, "worst": 128, "lead": 0.1, "gain": 0.2}
    assert sentences.trials(best).startswith(
        "After 3 epochs the batch of 32 leads with 50.0 %, +10.0 points over the batch of 128."
    )


def test_over_fitting_is_told_where_the_loss_turned():
    turning = {
        "epochs": 9,
        "best_epoch": 7,
        "best_accuracy": 0.6,
        "lowest_loss_epoch": 5,
        "loss_rise": 0.1,
    }
    assert "lowest in epoch 5 and ended 10.0 % higher" in sentences.overfitting(turning)
    assert "not visible" in sentences.overfitting(turning | {"loss_rise": 0.01})


def test_progress_is_told_at_the_same_time():
    reached = {"minutes": 2.2, "theirs": 0.25, "ours": 0.4, "our_minutes": 3.0, "our_end": 0.6}
    assert sentences.same_minutes(reached) == (
        "After 2.2 minutes the assignment's network is right on 25.0 % of PublicTest, ours on "
        "40.0 %. Ours ends at 60.0 % after 3.0 minutes."
    )
    assert "first epoch" in sentences.same_minutes(reached | {"ours": None})


def test_ferplus_is_told_where_it_was_asked():
    assert "was not asked" in sentences.ferplus(None)
    assert "no majority" in sentences.ferplus({})
    network = {"n": 2, "accuracy": 0.5, "accuracy_ci95": [0.09, 0.91]}
    said = sentences.ferplus({"network": network, "labels": {"accuracy": 1.0}})
    assert "On the 2 PrivateTest faces" in said and "on 50.0 % (95 % interval 9.0 to 91.0" in said
    assert "labels on 100.0 %" in said


def test_chosen_epochs_are_told_by_range_and_middle():
    assert "chose 0 to 8 epochs, 3 in the middle, of at most 9" in sentences.chosen_epochs(
        [3, 0, 8], 9
    )
    assert "chose 8 epochs everywhere, of at most 9" in sentences.chosen_epochs([8, 8], 9)


def test_maps_are_told_by_thirds_and_by_their_likeness():
    said = sentences.thirds({"angry": [0.7, 0.2, 0.1], "happy": [0, 0, 1]})
    assert "*angry* the upper third (70 %)" in said and "*happy* the lower third (100 %)" in said
    assert sentences.thirds({}).startswith("No place")
    assert sentences.likeness({"sad": -0.123}).endswith("by *sad* −0.12.")
    assert "cannot be compared" in sentences.likeness({})


CROWD = {
    "source": "fer_2013.csv",
    "images": {"Training": 2000, "PublicTest": 10, "PrivateTest": 0},
    "in_training": {"PublicTest": 1, "PrivateTest": 0},
    "nearly_in_training": {"PublicTest": 3, "PrivateTest": 0},
}


def test_the_crowd_and_its_copies():
    assert sentences.crowd(CROWD) == (
        "fer&#95;2013&#46;csv holds **2,010 images**: 2,000 in Training, 10 in PublicTest and "
        "0 in PrivateTest."
    )
    assert sentences.copies(CROWD) == (
        "1 PublicTest image (10.0 %) and 0 PrivateTest images (undefined) stand in Training too, "
        "pixel by pixel; with near-copies, which correlate with a Training image or its mirror "
        "image at .98 or more, it is 3 PublicTest and 0 PrivateTest images."
    )


def test_the_person():
    facts = {"labelled_images": 1, "labelled_units": 30, "clips": 7, "unknown": 12,
             "majority": "sad", "majority_share": 0.25}  # fmt: skip
    assert sentences.person(facts) == (
        "1 labelled image, 30 labelled rows of Action Units from 7 clips, 12 unknown faces. "
        "Always answering *sad* would be right on 25.0 % of the labelled faces."
    )


def test_raters_agree_or_are_too_few():
    ratings = pd.DataFrame(
        [(f, r, label) for f, both in enumerate([("sad", "sad"), ("happy", "happy")] * 2)
         for r, label in zip("ab", both, strict=True)],
        columns=["file_name", "rater", "label"],
    )  # fmt: skip
    assert sentences.raters(rater_agreement(ratings).pairs) == (
        "a and b agree on 4 of 4 faces; Cohen's kappa is 1.00, almost perfect agreement."
    )
    alike = rater_agreement(ratings.assign(label="sad")).pairs
    assert sentences.raters(alike) == "a and b agree on 4 of 4 faces."
    assert "no agreement" in sentences.raters(rater_agreement(ratings[:1]).pairs)


def test_the_textbook_and_chance():
    hits = {"units": 6, "hits": 2, "emotions": 2, "emotions_above": 1}
    said = sentences.textbook(hits)
    assert "Of the 6 units" in said and "2 are the textbook's" in said
    assert said.endswith("in 1 of 2 emotions.")
    assert "No emotion has" in sentences.textbook(dict.fromkeys(hits, 0))
    found = {"accuracy": 0.5, "mean": 0.25, "best": 0.375, "p": 0.01, "permutations": 99}
    assert sentences.chance(found).endswith(
        "25.0 % on average and 37.5 % at best (p = 0.010, 99 permutations)."
    )


def test_a_learning_curve_is_continued_only_where_it_rises():
    found = {"fewest": 10.0, "accuracy_of_fewest": 0.4, "most": 100.0, "accuracy_of_most": 0.5,
             "goal": 0.6, "faces_needed": 1004.0}  # fmt: skip
    said = sentences.curve(found)
    assert "from 40.0 % to 50.0 %" in said and "60.0 % would take about 1,000" in said
    assert "would not help" in sentences.curve(found | {"faces_needed": None})
    full = sentences.curve(found | {"goal": 1.05, "faces_needed": None})
    assert "would not help" not in full and "left to be gained" in full


def test_declared_pairs_name_those_that_are_separated():
    told = sentences.declared(models(55, 20, 21)[1], SEEN)
    assert told.startswith("Of 3 declared pairs the data separate 2 (A from B and A from C); a tr")
    assert "the data separate 0; a true" in sentences.declared(models(30, 31)[1], SEEN)
