"""The website: offline, complete, readable on a phone, without scripts, by key and by ear.

The tests look at the book already built in ``_build/html`` (it is built first if there is none).
Those that need a browser use Debian's chromium and are skipped, with the reason, without one.
"""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import jsonschema
import nbformat
import pytest
from built_site import ROOT, SITE, build, parse

from hblib import claims
from runner import files, ledger

PHONE = {"width": 390, "height": 844}


# ---------------------------------------------------------------- the pages as files


def test_root_leads_to_the_book(site):
    refresh = parse(site / "index.html").select_one("meta[http-equiv=refresh]")["content"]
    assert (site / refresh.partition("url=")[2]).is_file()


def test_every_picture_has_a_text_alternative(pages):
    pictures = 0
    for name, soup in pages.items():
        for image in soup.select("img"):
            alt = image.get("alt", "").strip()
            assert alt, f"{name}: {image.get('src', '')[:80]} has no alternative text"
            assert not re.search(r"\.(png|svg|jpe?g|gif)$|[0-9a-f]{20}", alt), f"{name}: {alt}"
            pictures += 1
    assert pictures


def test_pictures_of_chapters_are_figures_with_captions(pages, chapters):
    figures = [figure for name in chapters for figure in pages[name].select("figure.hb-figure")]
    assert figures
    for figure in figures:
        assert figure.select_one("figcaption").get_text(strip=True)
    for name in chapters:
        outside = [i for i in pages[name].select(".cell_output img") if not i.find_parent("figure")]
        assert not outside, f"{name}: pictures without a figure around them"


def test_links_and_anchors_resolve(site, pages):
    ids = {name: {node["id"] for node in soup.select("[id]")} for name, soup in pages.items()}
    broken = []
    for name, soup in pages.items():
        for link in soup.select("a[href], link[href], script[src], img[src]"):
            href = link.get("href") or link.get("src")
            if re.match(r"(https?|mailto|data):", href):
                continue
            target, anchor = urldefrag(urljoin(name, unquote(href)))
            target = target.partition("?")[0]
            if not (site / target).exists():
                broken.append(f"{name}: {href}")
            elif anchor and target in ids and anchor not in ids[target]:
                broken.append(f"{name}: {href} (no such anchor)")
    assert not broken, "\n".join(broken)


def test_no_page_names_a_foreign_script_style_or_picture(site, pages):
    for name, soup in pages.items():
        for node in soup.select("script[src], link[rel~=stylesheet], link[rel~=preload], img[src]"):
            address = node.get("src") or node.get("href")
            assert not re.match(r"(https?:)?//", address), f"{name}: {address}"
    for sheet in site.glob("_static/**/*.css"):
        foreign = re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)'\"]+", sheet.read_text())
        assert not foreign, f"{sheet.name}: {foreign}"


def test_pages_are_light(site, pages):
    for name in pages:
        size = (site / name).stat().st_size
        assert size < 1_500_000, f"{name} weighs {size:,} bytes"
    scripts = list(site.glob("_static/hb*.js"))
    assert {"hb-fig.js", "hb-ledger.js"} <= {path.name for path in scripts}
    assert all(path.stat().st_size < 20_000 for path in scripts)
    assert (site / "_static" / "hb.css").stat().st_size < 40_000
    # Notebooks of sweeps are there only where the sweeps were run, and each is its reader's choice.
    files = {path for path in site.rglob("*") if path.is_file()} - {*site.glob("sweeps/*.ipynb")}
    assert sum(path.stat().st_size for path in files) < 40e6


# ---------------------------------------------------------------- ledger and cards


@pytest.fixture(scope="session")
def ledger_page(pages):
    return pages["book/ledger.html"]


def test_ledger_has_every_claim_with_its_verdict(ledger_page):
    register = claims.load_register()
    table = ledger.collect(register, files.chapters(ROOT)).set_index("id")
    rows = {row["id"]: row for row in ledger_page.select("table.hb-ledger tbody tr")}
    assert list(rows) == [claims.ledger_anchor(id) for id in register]
    for id, entry in table.iterrows():
        row = rows[claims.ledger_anchor(id)]
        assert row["data-verdict"] == entry.verdict
        shown = entry.verdict + (", fragile" if row["data-standing"] == "fragile" else "")
        assert row.select_one(".hb-verdict").text == shown
        assert row["data-chapter"] == entry.chapter
        assert row["data-kind"] == ("corollary" if entry.corollary_of else entry.kind)


def test_ledger_and_cards_link_to_each_other(pages, chapters, ledger_page):
    cards = {
        card["id"]: (name, card)
        for name in chapters
        for card in pages[name].select(".hb-claim, .hb-corollary")
    }
    assert cards
    untested = f"[data-verdict='{claims.NOT_TESTED}']"
    tested = ledger_page.select(f"table.hb-ledger tbody tr:not({untested})")
    assert len(tested) == len(cards)
    for row in tested:
        href = row.select_one("th a")["href"]
        name, card = cards[urldefrag(href)[1]]
        assert urljoin("book/ledger.html", urldefrag(href)[0]) == name
        back = card.select_one("a[href*='ledger.html#']")["href"]
        assert urljoin(name, back) == f"book/ledger.html#{row['id']}"
        assert card["data-verdict"] == row["data-verdict"]


def test_counts_in_the_text_are_those_of_the_ledger(pages, ledger_page):
    kinds = pages["book/index.html"].select(".hb-counts")
    assert [counts["data-kind"] for counts in kinds] == ["theorem", "example", "effect"]
    for counts in kinds:
        rows = ledger_page.select(f"table.hb-ledger tbody tr[data-kind='{counts['data-kind']}']")
        found = Counter(
            "fragile"
            if counts["data-kind"] == "effect" and row["data-standing"] == "fragile"
            else row["data-verdict"]
            for row in rows
        )
        shown = {
            item.select_one(".hb-verdict").text: int(item.select_one(".hb-count").text)
            for item in counts.select("li")
        }
        assert shown == found


def test_a_theorem_and_its_corollaries_share_a_card(pages):
    for entry in claims.load_register().values():
        if "corollary_of" in entry:
            page = pages[f"notebooks/{entry['chapter']}.html"]
            head = page.select_one(f"#{claims.card_anchor(entry['corollary_of'])}")
            assert head.name == "details"
            (line,) = head.parent.select(f"li#{claims.card_anchor(entry['id'])}")
            assert len(page.select(f"#{line['id']}")) == 1


def test_claims_are_published_as_data(site, ledger_page):
    found = json.loads((site / "claims.json").read_text(encoding="utf-8"))
    schema = json.loads((site / "claims.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, schema)
    assert [claim["id"] for claim in found["claims"]] == list(claims.load_register())
    for claim in found["claims"]:
        row = ledger_page.select_one(f"#{claims.ledger_anchor(claim['id'])}")
        assert row["data-verdict"] == claim["verdict"]
        page, anchor = urldefrag(claim["card"] or claim["ledger"])
        assert parse(site / page).select_one(f"#{anchor}"), claim["id"]
        leads = parse(site / claim["address"]).select_one("meta[http-equiv=refresh]")["content"]
        assert leads.endswith(f"url=../{page}#{anchor}")


def test_theorems_are_numbered_from_1_in_each_chapter(pages, chapters):
    numbered = 0
    for name in chapters:
        titles = [p.get_text() for p in pages[name].select(".proof.theorem > p.admonition-title")]
        numbers = [int(re.search(r"Theorem (\d+)", title)[1]) for title in titles]
        assert numbers == list(range(1, len(numbers) + 1)), name
        numbered += len(numbers)
    assert numbered


def test_pages_say_what_is_judged_by_the_rules_of_the_first_edition(pages):
    first = {e["chapter"] for e in claims.load_register().values() if e["edition"] == 1}
    for path in files.chapters(ROOT):
        note = pages[f"notebooks/{path.stem}.html"].select_one(".hb-edition")
        assert (note is not None) == (path.stem in first)


# ---------------------------------------------------------------- in the browser


def test_robustness_and_trees_can_be_read_on_a_phone(tab, site):
    page = tab(viewport=PHONE)
    page.goto((site / "book/robustness.html").as_uri())
    strips = page.locator(".hb-strip").all()
    assert bool(strips) == any((ROOT / "sweeps" / "results").glob("*.csv"))
    for strip in strips:
        box = strip.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    page.goto((site / "notebooks/06_captions.html").as_uri())
    tree = page.locator("figure > svg.hb-tree").first
    sizes = tree.evaluate(
        "t => [...t.querySelectorAll('text')].map(e => "
        "parseFloat(getComputedStyle(e).fontSize) * t.clientWidth / t.viewBox.baseVal.width)"
    )
    assert sizes and min(sizes) >= 9  # pixels


def test_ledger_reads_without_scripts(tab, site):
    for viewport in (PHONE, {"width": 1280, "height": 900}):
        page = tab(java_script_enabled=False, viewport=viewport)
        page.goto((site / "book/ledger.html").as_uri())
        rows = page.locator("table.hb-ledger tbody tr")
        assert rows.count() == len(claims.load_register())
        for row in (rows.first, rows.last):
            assert row.is_visible() and row.locator(".hb-verdict").is_visible()
        assert page.locator(".hb-sort, .hb-filters").count() == 0
        assert page.evaluate("document.scrollingElement.scrollWidth") <= viewport["width"]


def test_ledger_sorts_and_filters(tab, site):
    page = tab()
    page.goto((site / "book/ledger.html").as_uri())
    head = page.locator("table.hb-ledger thead th", has_text="Claim")
    names = page.locator("table.hb-ledger tbody tr:visible .hb-id")
    before = names.all_inner_texts()
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names.all_inner_texts() == sorted(before) != before
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert names.all_inner_texts() == sorted(before, reverse=True)

    register = claims.load_register()
    page.get_by_label("Chapter").select_option("07_grid_layers")
    chosen = [id for id, entry in register.items() if entry["chapter"] == "07_grid_layers"]
    assert sorted(names.all_inner_texts()) == sorted(chosen)
    assert page.get_by_role("status").inner_text().startswith(f"{len(chosen)} of {len(register)}")
    page.get_by_label("Chapter").select_option("")
    rows = page.locator("table.hb-ledger tbody tr:visible")
    for label, value in (("Kind", "corollary"), ("Standing", None), ("Verdict", "reproduced")):
        value = value or rows.first.get_attribute(f"data-{label.lower()}")
        page.get_by_label(label).select_option(value)
        shown = rows.evaluate_all(f"rows => rows.map(row => row.dataset.{label.lower()})")
        assert set(shown) == {value}


def test_a_link_to_a_filtered_row_shows_it(tab, site):
    page = tab()
    page.goto((site / "book/ledger.html").as_uri())
    page.get_by_label("Chapter").select_option("07_grid_layers")
    row = page.locator("#ledger-rotation-gd-equivariant")
    assert not row.is_visible()
    page.evaluate("location.hash = 'ledger-rotation-gd-equivariant'")
    row.wait_for(state="visible")


# ---------------------------------------------------------------- the explorable figure


@pytest.fixture
def explorable(pages):
    for name, soup in pages.items():
        if soup.select_one("hb-fig[kind='rotation-2d']"):
            return SITE / name
    pytest.skip("no chapter with a rotation-2d figure is built")


def test_turning_the_axes_changes_activations_and_not_the_product(tab, explorable):
    page = tab(reduced_motion="reduce")
    page.goto(explorable.as_uri())
    figure = page.locator("hb-fig[kind='rotation-2d']")
    slider = figure.get_by_label("Angle of the axes")
    heights = "f => [...f.querySelectorAll('.bar')].map(b => +b.getAttribute('height'))"
    fills = "f => [...f.querySelectorAll('.hb-heat rect')].map(r => r.style.fill)"
    bars, cells = figure.evaluate(heights), figure.evaluate(fills)
    assert max(bars) > 0 and len(set(cells)) > 1
    start = int(slider.input_value())
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == f"{start + 30} degrees"
    turned = figure.evaluate(heights)
    assert max(abs(a - b) for a, b in zip(bars, turned)) > 1
    assert figure.evaluate(fills) == cells
    assert "Largest change of any entry: 0.000" in figure.inner_text()
    assert not figure.locator(".hb-fig-still").is_visible()


def test_bars_are_the_rotated_coordinates(tab, explorable):
    page = tab()
    page.goto(explorable.as_uri())
    figure = page.locator("hb-fig[kind='rotation-2d']")
    data = json.loads(figure.locator("script").inner_text())
    figure.locator("input").fill("90")  # unit 1 now points where unit 2 did, unit 2 against unit 1
    items = data.get("items") or range(min(6, len(data["A"])))
    wanted = [data["A"][i][1] for i in items] + [-data["A"][i][0] for i in items]
    bars = figure.locator(".bar")
    heights = [float(bars.nth(i).get_attribute("height")) for i in range(bars.count())]
    largest = max(range(len(wanted)), key=lambda i: abs(wanted[i]))
    scale = heights[largest] / abs(wanted[largest])
    assert heights == pytest.approx([scale * abs(x) for x in wanted], abs=1e-6)


def test_the_axes_can_be_dragged(tab, explorable):
    page = tab()
    page.goto(explorable.as_uri())
    figure = page.locator("hb-fig[kind='rotation-2d']")
    space = figure.locator(".hb-space")
    space.scroll_into_view_if_needed()
    box = space.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(middle[0] + 60, middle[1])
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] - 60, steps=5)
    page.mouse.up()
    assert abs(int(figure.locator("input").input_value()) - 90) <= 2


def test_without_scripts_a_still_picture_stands_for_the_figure(tab, explorable):
    page = tab(java_script_enabled=False)
    page.goto(explorable.as_uri())
    assert page.locator("hb-fig .hb-fig-still").first.is_visible()
    assert page.locator(".hb-fig-live").count() == 0


# ---------------------------------------------------------------- a faulty book is not built


def test_a_missing_text_alternative_or_record_fails_the_build(tmp_path, chapters):
    """With one page in the table of contents, without its text: evidence is read at every build."""
    root = tmp_path / "book"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "_build", "__pycache__"))
    page = Path(chapters[0]).with_suffix("")
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: {page}\n", encoding="utf-8")
    path = root / page.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [nbformat.v4.new_markdown_cell("# A chapter"), *code]
    outputs = [out for cell in code for out in cell.get("outputs", ())]
    next(out for out in outputs if "image/png" in out.get("data", {})).metadata.clear()
    card = next(out for out in outputs if claims.MIME in out.get("data", {}))
    card.data.pop(claims.MIME)
    nbformat.write(notebook, path)
    for _ in range(2):  # and it fails again when nothing has changed
        result = build(root)
        said = result.stdout + result.stderr
        assert result.returncode != 0
        assert "A figure has no alternative text" in said
        assert f"{path.stem}: its records are not those of its execution" in said


# ---------------------------------------------------------------- cards


CARD = "details.hb-claim[data-kind='effect']"


@pytest.fixture
def chapter_page(tab, site):
    page = tab()
    page.goto((site / "notebooks/01_activation_space.html").as_uri())
    return page


def test_a_card_is_one_line_until_it_is_opened(chapter_page):
    card = chapter_page.locator(CARD).first
    facts = card.locator("dl")
    assert card.locator(".hb-claim__verdict").is_visible() and not facts.is_visible()
    card.locator("summary").focus()
    chapter_page.keyboard.press("Enter")
    assert facts.is_visible()


def test_a_link_to_a_card_opens_it(chapter_page):
    card = chapter_page.locator(CARD).last
    chapter_page.evaluate("id => { location.hash = id }", card.get_attribute("id"))
    card.locator("dl").wait_for(state="visible")


def test_all_of_a_card_is_printed(chapter_page):
    chapter_page.emulate_media(media="print")
    facts = chapter_page.locator(f"{CARD} dl.hb-claim__facts").all()
    assert facts and all(one.is_visible() for one in facts)


def test_a_reader_can_bet_before_looking(chapter_page):
    chapter_page.get_by_role("button", name="Bet before you look").click()
    card = chapter_page.locator(CARD).first
    verdict = card.locator(".hb-claim__verdict")
    assert not verdict.is_visible()
    card.locator("summary").click(position={"x": 5, "y": 5})
    assert not card.locator("dl").is_visible()  # first the bet
    card.get_by_role("button", name="75 %").click()
    assert verdict.is_visible() and "You said 75 %" in card.inner_text()
    came = float(card.get_attribute("data-verdict").startswith("reproduced"))
    score = f"{(0.75 - came) ** 2:.2f}"
    assert f"Your bets: 1, Brier score {score}" in chapter_page.locator(".hb-bets").inner_text()
    theorem = chapter_page.locator("details.hb-claim[data-kind='theorem']").first
    assert theorem.locator(".hb-claim__verdict").is_visible()  # nobody bets on a proof
