"""The page of a sweep: what it says, and how it behaves in a browser."""

import browser
import pytest
import sample_sweep
from bs4 import BeautifulSoup

from mien.sweep import pages

FAILED = "seed-1_fine_tune_rate-0.3"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep")
    swept = sample_sweep.write_sweep(out, "seed=0,1,2", "fine_tune_rate=0.01,0.3", failed=FAILED)
    return pages.render(*swept)


@pytest.fixture(scope="module")
def parsed(page):
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def test_it_names_the_best_setting_and_why(parsed):
    text = " ".join(parsed.main.get_text().split())
    assert "NN-FineTuned: fine_tune_rate 0.3," in text
    assert "on the person's labelled faces" in text and "t over clips and seeds" in text
    assert "SVM-FER2013: no setting of it was varied" in text
    assert "choose nothing" in text


def test_held_out_scores_stand_in_one_table_of_chosen_settings(parsed):
    captions = [caption.get_text() for caption in parsed.select("caption")]
    assert captions.count("The chosen settings on what chose nothing") == 1
    for table in parsed.select("table"):
        if table.caption.get_text() != "The chosen settings on what chose nothing":
            assert "PrivateTest" not in table.get_text() and "unknown" not in table.get_text()


def test_every_finished_run_is_linked_and_the_failed_one_says_why(page, parsed):
    runs = next(t for t in parsed.select("table") if t.caption.get_text() == "Runs of this sweep")
    links = [a["href"] for a in runs.select("a")]
    assert len(links) == 5 and all((page.parent / link).is_file() for link in links)
    assert FAILED in runs.get_text() and not any(FAILED in link for link in links)
    assert "1 run did not end well" in parsed.main.get_text()
    wrong = parsed.find(id="what-went-wrong").find_parent("div")
    assert "chapter B1 stopped" in wrong.get_text() and "<b>no</b>" in wrong.get_text()


def test_figures_say_what_they_show(parsed):
    alts = [image["alt"] for image in parsed.select("img")]
    (alt,) = (alt for alt in alts if "NN-FineTuned on target-labelled" in alt)
    rows = [row for row in parsed.select("tr") if "fine_tune_rate" in row.get_text()]
    told = [row.select("td")[2].get_text() for row in rows if "labelled" in row.get_text()]
    assert len(told) == 2 and all(f"{accuracy[:-1]} %" in alt for accuracy in told)


def test_a_sweep_without_a_finished_run_still_has_a_page(tmp_path):
    swept = sample_sweep.write_sweep(tmp_path, "seed=0", failed="seed-0")
    text = pages.render(*swept).read_text(encoding="utf-8")
    assert "chapter B1 stopped" in text and "The best settings" not in text


def test_many_settings_are_drawn_as_the_best_twenty(tmp_path):
    rates = ",".join(f"0.{number:02d}" for number in range(1, 26))
    swept = sample_sweep.write_sweep(tmp_path, f"fine_tune_rate={rates}")
    text = pages.render(*swept).read_text(encoding="utf-8")
    assert "The 20 best settings of NN-FineTuned" in text


def test_who_is_not_ahead_is_told_a_tie(tmp_path):
    swept = sample_sweep.write_sweep(tmp_path, "fine_tune_rate=0.01,0.010001")
    text = BeautifulSoup(pages.render(*swept).read_text("utf-8"), "html.parser").get_text()
    assert "a tie with fine_tune_rate 0.010001" in text and "0.0 points over" not in text


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as opened:
        yield opened


@pytest.mark.browser
def test_it_is_quiet_whole_linked_and_fits(chromium, page):
    browser.check_quiet(chromium, page)
    assert browser.check_images(chromium, page) > 0
    assert browser.check_links(chromium, page) > 5
    browser.check_narrow(chromium, page)
    browser.check_print(chromium, page)
    browser.check_sort(chromium, page)
    browser.check_contents(chromium, page)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium, page, scheme):
    browser.check_axe(chromium, page, scheme)
