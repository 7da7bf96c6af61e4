"""The website: offline, complete, readable on a phone, without scripts, by key and by ear.

The tests look at the book already built in ``_build/html`` (it is built first if there is none).
Those that need a browser use Debian's chromium and are skipped, with the reason, without one.
"""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

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
        assert row["data-verdict"] == entry.verdict == row.select_one(".hb-verdict").text
        assert row["data-chapter"] == entry.chapter
    untested = int((table.verdict == claims.NOT_TESTED).sum())
    sentence = ledger_page.select_one("main strong").text
    assert sentence.startswith(f"{len(table) - untested} of {len(table)} claims tested")
    rest = sentence.partition("claims tested")[2]
    assert (str(untested) in rest) if untested else (rest == ".")


def test_ledger_and_cards_link_to_each_other(pages, chapters, ledger_page):
    cards = {
        card["id"]: (name, card) for name in chapters for card in pages[name].select(".hb-claim")
    }
    assert cards
    untested = f"[data-verdict='{claims.NOT_TESTED}']"
    tested = ledger_page.select(f"table.hb-ledger tbody tr:not({untested})")
    assert len(tested) == len(cards)
    for row in tested:
        href = row.select_one("th a")["href"]
        name, card = cards[urldefrag(href)[1]]
        assert urljoin("book/ledger.html", urldefrag(href)[0]) == name
        back = card.select_one(".hb-claim__link a")["href"]
        assert urljoin(name, back) == f"book/ledger.html#{row['id']}"
        assert card["data-verdict"] == row["data-verdict"]


def test_counts_in_the_text_are_those_of_the_ledger(pages, ledger_page):
    for row in pages["book/index.html"].select(".hb-counts li"):
        verdict = row.select_one(".hb-verdict").text
        n_rows = len(ledger_page.select(f"table.hb-ledger tbody tr[data-verdict='{verdict}']"))
        assert int(row.select_one(".hb-count").text) == n_rows


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
    verdict = page.locator("table.hb-ledger tbody tr").first.get_attribute("data-verdict")
    page.get_by_label("Verdict").select_option(verdict)
    shown = page.locator("table.hb-ledger tbody tr:visible .hb-verdict").all_inner_texts()
    assert set(shown) == {verdict}


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
