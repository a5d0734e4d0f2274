"""One face at a time in a notebook, answered by keys or buttons: an anywidget.

It knows nothing of any model: a rating is evidence only if the rater was blind.
"""

import base64
import io
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from PIL import Image

from mien.data.images import open_image
from mien.data.person import load_person
from mien.errors import DataError, MienError, ParameterError
from mien.labelling.ratings import AGAIN_EVERY, ANSWERS, Ratings, order_of_faces, rater_name

_HERE = Path(__file__).parent

#: Longest side of the picture that is sent to the browser, in pixels.
_LONGEST = 512


class Labeller(anywidget.AnyWidget):
    """Rate the faces of a person's folder; ``finished`` once every face has its answer.

    ``what`` says which faces are shown: ``"unknown"``, ``"labelled"`` or ``"all"``; ``again`` shows
    every tenth a second time at the end. `DataError` if the folder holds no such face with a
    picture, or its ``ratings.csv`` is another table; `ParameterError` if the name
    (`ratings.rater_name`) or ``what`` is not allowed.
    """

    _esm = _HERE / "widget.js"
    _css = _HERE / "widget.css"
    face = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, folder: str | Path, rater: str, *, what: str = "unknown", again: bool = False
    ):
        super().__init__()
        sets = {"unknown": ["unknown"], "labelled": ["labelled"], "all": ["labelled", "unknown"]}
        if what not in sets:
            raise ParameterError(f"what is {what!r}; say unknown, labelled or all")
        self.rater = rater_name(rater)
        self.person = load_person(folder)
        self.ratings = Ratings(Path(folder).expanduser())
        faces = self.person.faces
        shown = faces[faces["has_image"] & faces["set"].isin(sets[what])]
        if shown.empty:
            kind = "" if what == "all" else f"{what} "
            raise DataError(f"{folder} holds no {kind}face with a picture")
        order = shown.index[order_of_faces(shown["clip"].tolist(), self.rater)].tolist()
        self._queue = order + (order[::AGAIN_EVERY] if again else [])
        self._place = self._next_open()
        self._given: list[int] = []
        self.on_msg(lambda _, message, __: self.receive(message))
        self._show()

    @property
    def finished(self) -> bool:
        """Whether every face of the queue has its answer on disk."""
        return self._next_open() == len(self._queue)

    def receive(self, message: dict[str, Any]) -> None:
        """Take what the browser says: an answer, an undo, or a step to a neighbour."""
        self.problem = ""
        try:
            match message.get("do"):
                case "answer" if message.get("label") in ANSWERS:
                    self._answer(message["label"], float(message.get("seconds", 0)))
                case "undo" if self._given:
                    self._place = self._given.pop()
                    self.ratings.change(self._name(self._place), self.rater, None)
                case "step":
                    step = 1 if message.get("by", 0) > 0 else -1
                    self._place = min(max(self._place + step, 0), self._next_open())
        except MienError as error:
            self.problem = str(error)
        self._show()

    def _answer(self, label: str, seconds: float) -> None:
        here = self._place
        if here == len(self._queue):
            return
        if here < self._next_open():
            self.ratings.change(self._name(here), self.rater, label)
        else:
            self.ratings.add(self._name(here), self.rater, label, seconds=seconds)
            self._given.append(here)
        self._place = here + 1 if here + 1 < self._next_open() else self._next_open()

    def _name(self, place: int) -> str:
        return str(self.person.faces["file_name"].iloc[self._queue[place]])

    def _answers(self) -> list[str]:
        """Return the answer on disk at every place of the queue, "" where there is none yet."""
        said, seen, found = self.ratings.of(self.rater), {}, []
        for place in range(len(self._queue)):
            name = self._name(place)
            number = seen[name] = seen.get(name, -1) + 1
            given = said.get(name, [])
            found.append(given[number] if number < len(given) else "")
        return found

    def _next_open(self) -> int:
        answers = self._answers()
        return answers.index("") if "" in answers else len(answers)

    def _show(self) -> None:
        """Send the face at the present place, or that all are answered."""
        answers, total = self._answers(), len(self._queue)
        facts: dict[str, Any] = {
            "number": self._place + 1,
            "total": total,
            "left": answers.count(""),
            "done": self._place == total,
            "answers": list(ANSWERS),
        }
        if self._place < total:
            face = self._queue[self._place]
            facts["given"] = answers[self._place]
            facts["picture"] = _picture(self.person.paths[face])
        self.face = facts


def _picture(path: Path) -> str:
    """Return a picture as a data URI, upright, at most `_LONGEST` pixels a side."""
    image = open_image(path).convert("RGB")
    image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")
