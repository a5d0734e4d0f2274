"""Train the network whose weights come with mien, and write the weights and their model card.

    python benchmarks/train_shipped_weights.py PATH_OF_FER2013 --checkpoint FILE

Network, training and augmentation are those of B1's `full` profile; `--epochs` shortens it.
Interrupted, the same call goes on. PublicTest chooses the epoch; PrivateTest is read once, at the
end. `--from MODEL.keras` only measures and packs a network that is already trained.
"""

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from mien import emotions
from mien.data.fer2013 import copied_in_training, load_fer2013
from mien.emotions import EMOTIONS
from mien.evaluation import calibration
from mien.network import SHIPPED, SHIPPED_CURVE, architecture, inference, pretrained, training
from mien.study.profiles import settings

RECIPE = training.Recipe(
    **settings("full", "training"), augment=training.Augment(**settings("full", "augmentation"))
)

MIRRORED = "the face and its mirror image"  # what `mien predict` and chapter B2 average

CARD = """# The network that comes with mien

`{file}`: {parameters:,} parameters in half precision, {megabytes:.1f} MB, a plain numpy archive
without pickled objects. `mien.network.pretrained.load_network()` loads it.

**Data.** FER2013's Training split only ({n_training:,} faces; Goodfellow et al. 2013,
arXiv:1307.0414): grey faces of 48 x 48 pixels from web searches, labelled by few people, about 65 %
of which a person labels the same way. No other data, no pre-training. PublicTest ({n_public:,}
faces) chose the epoch and the settings; PrivateTest ({n_private:,}) chose nothing.

**Recipe.** `benchmarks/train_shipped_weights.py`, seed {seed}: the `full` profile of chapter B1,
{epochs} epochs. Network: {network}. Training (`mien.network.training.train`): {training}. Faces
changed by {augment}. {note}

| set | n | accuracy | 95 % interval |
| --- | --- | --- | --- |
{sets}

Answers are averaged over {looks}, as PublicTest chose. `mien predict` and the
chapters on a person average the face and its mirror image alone; the temperature of that, fitted on
PublicTest and stored beside the weights: {temperature:.2f}. What `mien predict --int8` needs stands
there too: between which bounds the inputs of the convolutions lie, of 512 faces of Training.

| PrivateTest | precision | recall | n |
| --- | --- | --- | --- |
{classes}

**Limits.** It reads posed and caught expressions in small, roughly centred, mostly frontal faces.
The labels are what a few annotators saw in a picture, not what a person felt; expression does not
tell emotion reliably (Barrett et al. 2019, doi:10.1177/1529100619832930). FER2013 is neither
balanced nor annotated by age, sex or skin tone, so how errors spread over groups of people is not
known. It misses most often: {weakest}. It is made for teaching and for the comparison in this
study: **not for emotion surveillance, hiring, policing, monitoring of pupils or workers, health or
any decision about a person**. The European Union's AI Act (Article 5) forbids emotion recognition
at work and in schools, medical and safety reasons aside.
"""


def row(name: str, right: np.ndarray) -> str:
    low, high = proportion_confint(right.sum(), len(right), method="wilson")
    return f"| {name} | {len(right):,} | {right.mean():.1%} | {low:.1%} to {high:.1%} |"


def per_class(truth: np.ndarray, answers: np.ndarray) -> str:
    lines = []
    for code, emotion in enumerate(EMOTIONS):
        hits = ((answers == code) & (truth == code)).sum()
        precision = hits / max(1, (answers == code).sum())
        recall, n = hits / (truth == code).sum(), (truth == code).sum()
        lines.append(f"| {emotion} | {precision:.1%} | {recall:.1%} | {n} |")
    return "\n".join(lines)


def weakest(truth: np.ndarray, answers: np.ndarray) -> list[str]:
    """Return the two emotions with the lowest recall."""
    recall = [(answers[truth == code] == code).mean() for code in range(len(EMOTIONS))]
    return [EMOTIONS[code] for code in np.argsort(recall)[:2]]


def words(given: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in given.items())


def train(crowd, given):
    """Return the trained network and its learning curve."""
    recipe = dataclasses.replace(RECIPE, epochs=given.epochs or RECIPE.epochs)
    shape = settings("full", "residual_network")
    model = architecture.build(**shape, dtype=architecture.fast_dtype(), seed=given.seed)
    history = training.train(
        model,
        *crowd.split("Training"),
        *crowd.split("PublicTest"),
        recipe,
        seed=given.seed,
        checkpoint=given.checkpoint,
        on_epoch=show,
    )
    return model, history


def show(epoch: dict) -> None:
    print({name: round(float(value), 4) for name, value in epoch.items()}, flush=True)


def export_curve(history, public: np.ndarray, path: Path) -> None:
    """Write minutes and PublicTest accuracy, epoch by epoch, for `pretrained.shipped_curve`."""
    minutes = (history["seconds"].cumsum() / 60).round(2).tolist()
    curve = {"public": hashlib.sha256(np.ascontiguousarray(public)).hexdigest()}
    curve |= {"minutes": minutes, "accuracy": history["val_accuracy"].round(4).tolist()}
    path.write_text(json.dumps(curve), encoding="utf-8")


def publish(model, crowd, out: Path, *, seed: int, epochs: int, note: str = "") -> str:
    """Write weights and card to ``out``; return the card. The packed network is what is scored."""
    path = out / SHIPPED.name
    pretrained.export_weights(model, path)
    packed, _ = pretrained.load_network(path, dtype=architecture.fast_dtype())
    found = measure(packed, crowd)
    some = crowd.split("Training")[0][:512]
    pretrained.export_weights(model, path, temperature=found["temperature"], calibration=some)
    card = CARD.format(
        file=path.name,
        parameters=packed.count_params(),
        megabytes=path.stat().st_size / 1e6,
        seed=seed,
        epochs=epochs,
        note=note,
        network=words(architecture.shape(packed)),
        training=words({k: v for k, v in vars(RECIPE).items() if k not in ("epochs", "augment")}),
        augment=RECIPE.augment,
        **found,
    )
    (out / "MODEL_CARD.md").write_text(card)
    return card


def measure(packed, crowd) -> dict:
    """Return what the card says of a network's answers: PublicTest chooses, PrivateTest tells."""
    (public, public_codes), private = crowd.split("PublicTest"), crowd.private_test()
    compared, answered = inference.compare_views(packed, public, public_codes)
    looks = inference.best_views(compared)
    quick, answers = (
        inference.predict(packed, private.images, **inference.VIEWS[way]).argmax(axis=1)
        for way in (MIRRORED, looks)
    )
    codes = emotions.codes(private.truth_for({"quick": quick, "answers": answers}))
    right, copied = answers == codes, copied_in_training(crowd, "PrivateTest")
    sets = {
        "PublicTest": answered[looks].argmax(axis=1) == public_codes,
        "PrivateTest": right,
        "PrivateTest without copies of Training images": right[~copied],
        f"PrivateTest, {MIRRORED} alone": quick == codes,
    }
    return {
        "n_training": len(crowd.split("Training")[1]),
        "n_public": len(public_codes),
        "n_private": len(codes),
        "sets": "\n".join(row(name, hits) for name, hits in sets.items()),
        "looks": looks,
        "temperature": calibration.fit_temperature(answered[MIRRORED], public_codes),
        "classes": per_class(codes, answers),
        "weakest": " and ".join(weakest(codes, answers)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fer2013", help="FER2013 in any layout that mien reads")
    parser.add_argument("--out", type=Path, default=Path("lib/mien/network/weights"))
    parser.add_argument("--checkpoint", type=Path, help="a file that keeps unfinished work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="trained", type=Path, help="a trained .keras network")
    parser.add_argument("--epochs", type=int, help="of the training; the profile's if left out")
    parser.add_argument("--note", default="", help="a sentence on the training, for the card")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    crowd = load_fer2013(given.fer2013)
    if given.trained:
        model, epochs = pretrained.load(given.trained), given.epochs or RECIPE.epochs
    else:
        model, history = train(crowd, given)
        epochs = len(history)
        export_curve(history, crowd.split("PublicTest")[0], given.out / SHIPPED_CURVE.name)
    print(publish(model, crowd, given.out, seed=given.seed, epochs=epochs, note=given.note))


if __name__ == "__main__":
    main()
