"""Executed notebooks as papermill would leave them, made by hand in a moment."""

import base64
import json
from html import escape
from pathlib import Path

import nbformat
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, ImageDraw

from mien.models import competitors
from mien.report import text
from mien.report.face_sheets import GalleryItem, gallery
from mien.report.tables import WithInterval, table
from mien.study.parameters import CHAPTERS

EMOTIONS = ("angry", "happy", "sad", "surprise")
NAMES = tuple(model.name for model in competitors("SVM-OpenFace"))


class Html:
    """What a notebook shows as HTML."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html


def output(thing):
    """Return the output of a cell that ends in ``thing``, or displays it: a str is Markdown."""
    if isinstance(thing, str):
        return new_output("display_data", data={"text/markdown": thing, "text/plain": "<Markdown>"})
    data = {"text/html": thing._repr_html_(), "text/plain": repr(thing)}
    return new_output("execute_result", data=data, execution_count=1)


def code(source, *things, tags=(), count=1):
    return new_code_cell(
        source,
        outputs=[thing if isinstance(thing, dict) else output(thing) for thing in things],
        execution_count=count,
        metadata={"tags": list(tags)} if tags else {},
    )


def parameters(**values):
    defaults = 'name: str = "demo"  # name of the study\nseed: int = 0  # seed of every draw\n'
    defaults += 'fer2013: str = "demo"  # path of FER2013\ntarget: str = "demo"  # the person\n'
    injected = "# Parameters\n" + "".join(f"{name} = {value!r}\n" for name, value in values.items())
    return [
        code(defaults, tags=["parameters"]),
        code(injected, tags=["injected-parameters"]),
    ]


def picture(alt: str, *, faces: bool = False) -> Html:
    """Return a figure in the form that mien.report.figures gives it."""
    bars = "".join(
        f'<rect x="150" y="{30 + 50 * row}" width="{width}" height="30" fill="#3a7ca5"/>'
        f'<text x="140" y="{51 + 50 * row}" text-anchor="end" font-size="16">{name}</text>'
        for row, (name, width) in enumerate(zip(NAMES, (240, 300, 330, 390), strict=True))
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="240" viewBox="0 0 600 240" '
        f'font-family="sans-serif"><title>{escape(alt)}</title>'
        f'<rect width="600" height="240" fill="#fff"/>{bars}</svg>'
    )
    encoded = base64.b64encode(svg.encode()).decode()
    kind = "mien-figure mien-faces" if faces else "mien-figure"
    return Html(
        f'<img alt="{escape(alt)}" class="{kind}" src="data:image/svg+xml;base64,{encoded}">'
    )


def face(shade: int) -> Image.Image:
    image = Image.new("RGB", (96, 96), (225 - shade, 205 - shade, 190))
    draw = ImageDraw.Draw(image)
    draw.ellipse((14, 6, 82, 92), fill=(240, 200 - shade, 170))
    draw.ellipse((30, 36, 40, 46), fill="black")
    draw.ellipse((56, 36, 66, 46), fill="black")
    draw.arc((34, 50, 62, 76), 20, 160, fill="black", width=3)
    return image


def faces(names, *, raters=("R1", "R2"), truth=None) -> list[GalleryItem]:
    """Return faces whose truths and answers go round the emotions, so that models err in turn."""
    items = []
    for number, name in enumerate(names):
        label = truth or (EMOTIONS[number % 4] if number % 5 else "")
        answers = {}
        for place, model in enumerate(NAMES):
            guess = EMOTIONS[(number + (number + place) % 3 // 2) % 4]
            answers[model] = (guess, 0.35 + 0.05 * place)
        votes = {rater: label or EMOTIONS[place] for place, rater in enumerate(raters)}
        items.append(GalleryItem(face(number * 5), name, label, answers, votes))
    return items


def comparison_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sees": ["images of a crowd", "Action Units", "images of a crowd", "both crowds"],
            "labels": [0, 86, 0, 87],
            "accuracy": [
                WithInterval(0.414, 0.31, 0.523),
                WithInterval(0.547, 0.43, 0.66),
                WithInterval(0.667, 0.55, 0.77),
                WithInterval(0.752, 0.65, 0.841),
            ],
            "macro F1": [0.38, 0.51, 0.6, None],
            "train, s": [58.1, 0.4, 1737.0, 130.25],
        },
        index=pd.Index(NAMES, name="model"),
    )


def comparison(hostile: str = "") -> list:
    """Return the cells of chapter C; ``hostile`` stands wherever text of the data can."""
    name = hostile or "clip_{}.jpg"
    names = [f"{name}{number}" if hostile else name.format(number) for number in range(12)]
    raters = (f"Ann {hostile}", "Bo")
    frame = comparison_table()
    if hostile:
        frame["sees"] = hostile
        frame = frame.rename(index={NAMES[0]: hostile}).rename(columns={"labels": hostile})
    people = faces(names, raters=raters, truth=hostile or None)
    return [
        new_markdown_cell(
            "# Which way of reading a face works best?\n\nFour models answer for the same faces: "
            "two read **features that people designed**, two read features that a network learned."
        ),
        code("from mien.report import face_sheets, figures\nfrom mien.report.tables import table"),
        *parameters(name="demo", fer2013="demo", target="demo", out=f"/home/{hostile}/out"),
        code(
            "say(verdict(scores, pairs))",
            "NN-FineTuned has the highest accuracy, right on 75.2 % of 87 labelled faces (95 % "
            "interval 65.0 to 84.1 %), but the data do not separate it from NN-FER2013 (+8.5 "
            "points, exact McNemar p = 0.118 after Holm).",
            tags=["verdict"],
        ),
        code(
            "figures.accuracies(scores)",
            picture(f"NN-FineTuned (the last) is right most often: 75 % – really {hostile}"),
        ),
        new_markdown_cell("## The four models side by side\n\nEvery model met the same faces."),
        code(
            "# what each saw, and how well it did\n"
            'table(frame, caption="Four models", percent=["accuracy"], digits=0)',
            table(
                frame,
                caption=f"Four models on the faces, each with its interval {hostile}".strip(),
                percent=["accuracy"],
                digits=0,
            ),
        ),
        new_markdown_cell("### What each looked at\n\nThe lips, mostly: `AU12`, then `AU25`."),
        code("face_sheets.samples(person)", picture("Sample faces", faces=True)),
        new_markdown_cell("## Where they differ\n\n- by emotion,\n- by clip.\n\n> A caveat."),
        code(
            'print("done")',
            new_output("stream", name="stdout", text=f"a line of text {hostile}\n"),
            new_output("stream", name="stderr", text="Epoch 1/2 [=====>] secret progress\n"),
            f"A sentence on {text.escape(hostile or 'a face')}.",
            f"A careless sentence on {hostile or 'a face'}.",
            Html(f"<p>A careless output: {hostile}</p>"),
        ),
        new_markdown_cell("## The unknown faces\n\nFace, raters and the four answers."),
        code("gallery(faces)", gallery(people, caption=f"Unknown faces {hostile}".strip())),
        new_markdown_cell("## Limits\n\nOne person, few faces. " + "The limits are many. " * 40),
    ]


def simple(title: str) -> list:
    return [
        new_markdown_cell(f"# {title}\n\nThe question of this chapter."),
        *parameters(name="demo", fer2013="demo", target="demo"),
        new_markdown_cell("## Scores\n\nWhat the model reached."),
        code("figures.confusions({title: score})", picture(f"Confusion matrix of {title}")),
        new_markdown_cell("## Answer\n\nIt works."),
    ]


def failing(message: str = "row 7: <b>no</b> pixels") -> list:
    """Return the cells of a chapter whose fifth cell fails."""
    error = new_output(
        "error",
        ename="DataError",
        evalue=message,
        traceback=["\x1b[0;31mDataError\x1b[0m Traceback", message],
    )
    cells = simple("A chapter that fails")
    failed = code('raise DataError("row 7")', error, count=4)
    mark = {"tags": ["papermill-error-cell-tag"]}
    notes = [
        new_markdown_cell("[An Exception](#papermill-error-cell) was encountered", metadata=mark),
        new_markdown_cell('<span id="papermill-error-cell">Here</span>', metadata=mark),
    ]
    return [notes[0], *cells[:-1], notes[1], failed, *cells[-1:]]


#: What somebody may have written into a file name, a label or a rater's name.
HOSTILE = (
    "'\"><script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
    "<a href=javascript:alert(4)>a</a> javascript:alert(5) [b](javascript:alert(6)) "
    "![c](http://planted.invalid/c.png) <iframe src=http://planted.invalid></iframe>"
    "<style>body{background:url(http://planted.invalid/d.png)}</style> {{ 7 * 7 }} {% raw %}"
)


def write_notebook(out: Path, part: str, cells: list, ending: str = "") -> Path:
    plan = next(plan for plan in CHAPTERS if plan.part == part)
    path = out / "notebooks" / f"{plan.notebook}{ending}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    nbformat.write(notebook, path)
    return path


def write_study(out: Path, *, hostile: str = "") -> Path:
    """Write the executed notebooks and study.json of a whole study and return its folder."""
    for plan in CHAPTERS:
        cells = comparison(hostile) if plan.part == "C" else simple(f"{plan.title} {hostile}")
        write_notebook(out, plan.part, cells)
    write_known(out, {"name": "demo", "fer2013": "demo", "target": "demo"})
    return out


def write_known(out: Path, parameters: dict, **known) -> None:
    """Write what study.json holds."""
    text = json.dumps({"parameters": parameters, **known})
    (out / "study.json").write_text(text, encoding="utf-8")
