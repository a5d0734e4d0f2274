"""Photos and videos of drawn people, collected into a person's folder."""

import hashlib
from datetime import datetime

import pandas as pd
import pytest
from PIL import Image
from scenes import ANN, BEN, WALLS, scene, write_video

from mien.data.person import load_person
from mien.errors import DataError, ParameterError
from mien.photos import collection, face_finder, videos
from mien.photos.collection import CollectedFolder
from mien.study.data_check import examine
from mien.study.parameters import make_study

BOTH = ((ANN, 0, 120, 20, 60), (BEN, 0, 90, 200, 40))


def gather(sources, to, *, clip_minutes=2, **options):
    """Collect, as the command does, and return what there is to tell and the faces."""
    album = CollectedFolder(to)
    planned = collection.plan(sources, album, clip_minutes=clip_minutes)
    return collection.collect(planned, album, **options), album.table()


def hashes(folder):
    """Return the content and the time of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents(folder):
    return {name: content for name, (content, _) in hashes(folder).items()}


def stop_after(count):
    """Return what stops the work, as Ctrl-C does, at the picture after so many."""
    seen = iter(range(count))

    def on_picture():
        if next(seen, None) is None:
            raise KeyboardInterrupt

    return on_picture


@pytest.fixture
def album_photos(tmp_path):
    """Photos of two people, some sorted by label, and one without anybody."""
    folder = tmp_path / "photos"
    for place, faces in {
        "happy/party_1.png": BOTH,
        "sad/day1/dance_2.png": ((ANN, 2, 120, 150, 80), (BEN, 2, 90, 20, 20)),
        "walk_7.png": ((ANN, 1, 120, 100, 50),),
        "wall_1.png": (),
    }.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        scene(*faces).save(folder / place)
    return folder


@pytest.fixture
def film(tmp_path):
    """Three shots; in the first Ben comes nearer than Ann, who was the nearest at first."""
    first = [scene((ANN, 0, 110, 10, 60), (BEN, n, 80 + 60 * n, 175, 40)) for n in (0, 1)]
    second = [scene((BEN, 2, 120, 100, 60), wall=WALLS[1])]
    third = [scene((ANN, look, 120, 60, 60), wall=WALLS[2]) for look in (2, 1)]
    path = tmp_path / "film.avi"
    write_video(path, [[p for p in shot for _ in range(5)] for shot in (first, second, third)])
    return path


def test_the_largest_face_of_every_photo_is_kept_with_its_label(album_photos, tmp_path):
    before = hashes(album_photos)
    told, faces = gather([album_photos], tmp_path / "ann")
    assert (told.pictures, told.faceless, told.alike, told.problems) == (4, 1, 0, [])
    assert list(faces["file_name"]) == [
        *("images/happy/party_1.jpg", "images/sad/dance_2.jpg", "images/unknown/walk_7.jpg")
    ]
    assert list(faces["clip"]) == ["party", "dance", "walk"]
    assert list(faces["left"] < 140) == [True, False, True], "Ann's face is the larger one"
    assert hashes(album_photos) == before, "sources are only read"
    written = pd.read_csv(tmp_path / "ann" / "collected.csv", keep_default_na=False)
    assert list(written["source"]) == [
        str(album_photos / p) for p in ("happy/party_1.png", "sad/day1/dance_2.png", "walk_7.png")
    ]
    assert (written[["width", "height"]] > 80).all(axis=None) and (written["sharpness"] > 1).all()


def test_all_faces_of_every_photo_are_kept_where_that_is_asked(album_photos, tmp_path, landmarker):
    told, faces = gather([album_photos], tmp_path / "both", pick="all")
    assert told.pictures == 4 and len(faces) == 5
    labels = dict(zip(faces["file_name"], faces["label"], strict=True))
    assert (
        labels["images/happy/party_1-2.jpg"] == "happy" and list(labels.values()).count("sad") == 2
    )
    assert faces["presence"].between(0.5, 1).all()
    with pytest.raises(ParameterError, match="pick is 'any'"):
        gather([album_photos], tmp_path / "any", pick="any")


def test_a_person_is_followed_through_a_shot_and_shots_are_clips(film, tmp_path, landmarker):
    told, faces = gather([film], tmp_path / "person")
    assert (told.pictures, told.faceless) == (5, 0)
    assert list(zip(faces["clip"], faces["time"], strict=True)) == [
        *(
            ("film-001", "0.000"),
            ("film-002", "1.000"),
            ("film-003", "1.500"),
            ("film-003", "2.000"),
        )
    ]
    assert told.alike == 1, "Ann, who did not change, though Ben's face is larger by then"
    assert faces["left"].iloc[0] < 100
    assert list(faces["file_name"])[-1] == "images/unknown/film-003_000020.jpg"


def test_what_is_collected_is_a_study_at_once(album_photos, film, tmp_path, cache_folder):
    person = tmp_path / "person"
    _, faces = gather([album_photos, film], person)
    loaded = load_person(person).faces.set_index("file_name")
    for row in faces.itertuples():
        face = loaded.loc[row.file_name.rpartition("/")[2]]
        assert (face["clip"], face["label"]) == (row.clip, row.label)
    assert len(loaded) == len(faces)
    study = make_study({"name": "any", "fer2013": "", "target": str(person), "folds": 2})
    assert examine(study).lost == []


def test_an_interrupted_collection_goes_on_where_it_was(album_photos, film, tmp_path):
    sources = [album_photos, film]
    gather(sources, tmp_path / "whole")
    for count in (2, 5, 7):
        to = tmp_path / f"stopped{count}"
        with pytest.raises(KeyboardInterrupt):
            gather(sources, to, on_picture=stop_after(count))
        assert len(pd.read_csv(to / "collected.csv")) < 7
        told, _ = gather(sources, to)
        assert 0 < told.pictures < 9
        assert contents(to) == contents(tmp_path / "whole") | {
            name: content for name, content in contents(to).items() if name == "contact.html"
        }


def test_what_has_been_looked_at_is_not_looked_at_again(album_photos, film, tmp_path, monkeypatch):
    to = tmp_path / "person"
    gather([album_photos, film], to)
    before = hashes(to / "images")
    (to / "images" / "happy" / "party_1.jpg").rename(to / "images" / "sad" / "party_1.jpg")
    (to / "images" / "unknown" / "walk_7.jpg").unlink()
    with (to / ".collected.jsonl").open("a") as record:
        record.write('\n{"source": "cut o')
    for room, name in ((face_finder, "find"), (videos, "frames")):
        monkeypatch.setattr(room, name, lambda *args, **options: pytest.fail("looked again"))
    told, faces = gather([album_photos, film], to)
    assert told.pictures == 0
    names = [*faces["file_name"]]
    assert "images/sad/party_1.jpg" in names and "images/unknown/walk_7.jpg" not in names
    assert faces.set_index("file_name").loc["images/sad/party_1.jpg", "label"] == "sad"
    assert len(hashes(to / "images")) == len(before) - 1


def taken(path, moment, who=ANN, look=0):
    """Save a photo as a camera does."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = moment.strftime("%Y:%m:%d %H:%M:%S")
    scene((who, look, 120, 60, 60)).save(path, exif=exif)


@pytest.mark.parametrize(("minutes", "clips"), [(2, 2), (5, 1), (0, 3)])
def test_photos_of_a_camera_are_told_apart_by_shooting_time(tmp_path, minutes, clips):
    for number, second in enumerate((0, 100, 350)):
        moment = datetime(2024, 5, 1, 12, second // 60, second % 60)
        taken(tmp_path / f"IMG_000{9 - number}.jpg", moment, look=number)
    scene((BEN, 0, 120, 60, 60)).save(tmp_path / "DSC_0001.jpg")
    _, faces = gather([tmp_path / "*.jpg"], tmp_path / "person", clip_minutes=minutes)
    timed = faces[faces["time"] != ""]
    assert len(timed) == 3 and timed["clip"].nunique() == clips
    assert "photos-20240501-120000" in set(timed["clip"])
    assert list(faces.loc[faces["time"] == "", "file_name"]) == [
        "images/unknown/source-DSC-0001_1.jpg"
    ]
    loaded = load_person(tmp_path / "person").faces
    assert sorted(loaded["clip"]) == sorted(faces["clip"])


def test_frames_that_a_program_has_numbered_are_one_clip(tmp_path):
    for look in range(3):
        scene((ANN, look, 120, 60, 60)).save(tmp_path / f"img_000{look}.png")
    _, faces = gather([tmp_path / "*.png"], tmp_path / "person")
    assert list(faces["clip"]) == ["img"] * 3
    assert list(load_person(tmp_path / "person").faces["clip"]) == ["img"] * 3


def test_photos_that_come_later_join_the_clip_of_their_time(tmp_path):
    for look, (folder, minute) in enumerate((("first", 1), ("then", 0), ("then", 9))):
        (tmp_path / folder).mkdir(exist_ok=True)
        taken(tmp_path / folder / f"IMG_{look:04}.jpg", datetime(2024, 5, 1, 12, minute), look=look)
    gather([tmp_path / "first"], tmp_path / "person")
    _, faces = gather([tmp_path / "then"], tmp_path / "person")
    assert sorted(faces["clip"]) == [*["photos-20240501-120100"] * 2, "photos-20240501-120900"]


def test_what_cannot_be_read_is_told_and_the_rest_collected(album_photos, tmp_path, mien_here):
    (album_photos / "cut_1.jpg").write_bytes(b"\xff\xd8 cut off")
    (album_photos / "film.mp4").write_bytes(b"no film")
    done = mien_here("collect", str(album_photos), "--to", str(tmp_path / "ann"))
    assert done.returncode == 2
    assert "cut_1.jpg is damaged" in done.stderr and "film.mp4 is no video" in done.stderr
    assert "4 pictures looked at: 1 without a face, 0 near-duplicates" in done.stdout
    assert "3 faces are in" in done.stdout and "contact.html" in done.stdout


def test_the_command_refuses_what_leads_nowhere(tmp_path, mien_here):
    to = str(tmp_path / "person")
    scene().save(tmp_path / "wall.png")
    for arguments, said in (
        ([], "name the photos, videos or folders"),
        ([str(tmp_path / "none")], "nothing is called"),
        ([str(tmp_path / "wall.png")], "no face was found"),
        ([str(tmp_path / "wall.png"), "--pick", "any"], "pick is 'any'"),
        (["--strike", str(tmp_path / "none.txt")], "No such file"),
    ):
        done = mien_here("collect", *arguments, "--to", to)
        unwrapped = " ".join(done.stderr.replace("│", " ").split())
        assert done.returncode == 2 and said in unwrapped


def test_faces_are_not_collected_from_themselves(album_photos, tmp_path):
    gather([album_photos], tmp_path / "ann")
    with pytest.raises(DataError, match="lies where the faces go"):
        gather([tmp_path / "ann"], tmp_path / "ann")


def test_faces_that_are_struck_out_do_not_come_back(album_photos, tmp_path, mien_here):
    to = tmp_path / "ann"
    gather([album_photos], to)
    listed = tmp_path / "struck_out.txt"
    listed.write_text("images/sad/dance_2.jpg\n../photos/walk_7.png\n")
    done = mien_here("collect", "--to", str(to), "--strike", str(listed))
    assert done.returncode == 2 and "no face that was collected" in done.stderr
    assert (to / "images" / "sad" / "dance_2.jpg").is_file(), "nothing is deleted by halves"
    listed.write_text("images/sad/dance_2.jpg\r\n")
    done = mien_here("collect", str(album_photos), "--to", str(to), "--strike", str(listed))
    assert done.returncode == 0 and "1 faces are struck out" in done.stdout
    left = ["images/happy/party_1.jpg", "images/unknown/walk_7.jpg"]
    assert list(pd.read_csv(to / "collected.csv")["file_name"]) == left
    assert sorted(name for name in contents(to) if name.startswith("images")) == left
