"""One face at a time in a notebook, answered by keys or buttons: an anywidget.

It knows nothing of any model: a rating is evidence only if the rater was blind.
"""

from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets
from PIL import Image

from mien.data.images import open_image
from mien.data.person import load_person
from mien.errors import DataError, MienError, ParameterError
from mien.labelling.ratings import ANSWERS, Ratings, order_of_faces, rater_name
from mien.report.face_sheets import data_uri

_HERE = Path(__file__).parent


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
        queue = order + (order[::10] if again else [])
        self._names = faces["file_name"].loc[queue].tolist()
        self._paths = [self.person.paths[row] for row in queue]
        self._place = self._next_open()
        self._given: list[int] = []
        self.on_msg(lambda _, message, __: self.receive(message))
        self._show()

    @property
    def finished(self) -> bool:
        """Whether every face of the queue has its answer on disk."""
        return self._next_open() == len(self._names)

    @property
    def told(self) -> pd.DataFrame:
        """What all raters said (`Ratings.table`), nothing until this one has finished."""
        table = self.ratings.table()
        return table if self.finished else table.iloc[:0]

    def standing(self) -> dict[str, int]:
        """Return how far a rater is: ``faces``, ``left``, ``twice`` (answered again), ``alike``."""
        said = self.ratings.of(self.rater)
        twice = [answers for answers in said.values() if len(answers) > 1]
        alike = sum(first == second for first, second, *_ in twice)
        left = self.face["left"]
        return {"faces": len(said), "left": left, "twice": len(twice), "alike": alike}

    def receive(self, message: dict[str, Any]) -> None:
        """Take what the browser says: an answer, an undo, or a step to a neighbour."""
        self.problem = ""
        try:
            match message.get("do"):
                case "answer" if message.get("label") in ANSWERS:
                    self._answer(message["label"], float(message.get("seconds", 0)))
                case "undo" if self._given:
                    self._place = self._given.pop()
                    self.ratings.change(self._names[self._place], self.rater, None)
                case "step":
                    step = 1 if message.get("by", 0) > 0 else -1
                    self._place = min(max(self._place + step, 0), self._next_open())
        except MienError as error:
            self.problem = str(error)
        self._show()

    def _answer(self, label: str, seconds: float) -> None:
        here = self._place
        if here == len(self._names):
            return
        if here < self._next_open():
            self.ratings.change(self._names[here], self.rater, label)
        else:
            self.ratings.add(self._names[here], self.rater, label, seconds=seconds)
            self._given.append(here)
        self._place = min(here + 1, self._next_open())

    def _answers(self) -> list[str]:
        """Return the answer on disk at every place of the queue, "" where there is none yet."""
        said = self.ratings.of(self.rater)
        return [said[name].pop(0) if said.get(name) else "" for name in self._names]

    def _next_open(self) -> int:
        return [*self._answers(), ""].index("")

    def _show(self) -> None:
        """Send the face at the present place, or that all are answered."""
        answers, total = self._answers(), len(self._names)
        facts: dict[str, Any] = {
            "number": self._place + 1,
            "total": total,
            "left": answers.count(""),
            "done": self._place == total,
            "answers": list(ANSWERS),
        }
        if self._place < total:
            image = open_image(self._paths[self._place])
            image.thumbnail((512, 512), Image.Resampling.LANCZOS)  # that the browser is sent
            facts |= {"given": answers[self._place], "picture": data_uri(image)}
        self.face = facts
