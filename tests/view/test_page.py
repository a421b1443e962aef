"""The page in a browser: pictures, filters, keys, scrubbing, colors, and hostile names."""

import time

import pytest

from benchmarks.damage import DIM
from tests.command import vpr
from tests.placemap.places import new_map, unit_rows
from tests.view.conftest import HOSTILE, MOVED, viewed
from vpr_aesvc.images import read_image
from vpr_aesvc.types import Frame, Pose


def until(page, expression):
    """Waits until JavaScript says so. Playwright's own way is an ``eval`` on the page, which its policy forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within 10 s: {expression}")


def shown(page):
    """The number of the selected frame, once the panel shows it."""
    page.wait_for_timeout(30)
    selected = page.get_attribute("#timeline", "aria-valuenow")
    until(page, f"document.getElementById('detail').dataset.shown.startsWith('{int(selected) - 1} ')")
    return int(selected) - 1


def pixels(page, canvas):
    return page.evaluate(f"(() => {{const c = document.querySelector('{canvas}'); return c.toDataURL()}})()")


def drawn_pixels(page, canvas):
    """How many pixels are not transparent."""
    return page.evaluate(
        f"""(() => {{
          const c = document.querySelector('{canvas}');
          const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', {{ willReadFrequently: true }});
          copy.drawImage(c, 0, 0);
          return copy.getImageData(0, 0, c.width, c.height).data.filter((v, at) => at % 4 === 3 && v > 0).length;
        }})()"""
    )


def amber(page):
    """How many pixels the key points and their lines cover."""
    return drawn_pixels(page, ".pair canvas")


def test_a_frame_shows_both_pictures_and_why(open_page, address, scene):
    page = open_page(address)
    assert shown(page) == scene["runs"][0]["verdict"].index("wrong")
    while shown(page) != MOVED:
        page.keyboard.press("ArrowRight")
    assert "Accepted, and wrong (44" in page.inner_text(".verdict") and "12 frames" in page.inner_text("#summary")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert shown(page) == 1
    until(page, "[...document.querySelectorAll('.pair img')].every((image) => image.naturalWidth > 100)")
    page.wait_for_timeout(100)
    assert page.locator(".pair img").count() == 2 and amber(page) > 500
    assert page.inner_text("#detail").count("at most 0.20 is accepted") == 1
    before = amber(page)
    page.locator(".others button").nth(1).click()  # the first runner-up beside the frame
    until(page, "document.querySelectorAll('.others button')[1].ariaPressed === 'true'")
    page.wait_for_timeout(200)
    assert amber(page) != before


def test_clicking_the_map_selects_frames_and_places(open_page, address, scene):
    page = open_page(address)
    box = page.locator("#overlay").bounding_box()
    page.click("#fit")
    found = set()
    for row in range(12, int(box["height"]) - 12, 24):
        for column in range(12, int(box["width"]) - 80, 24):
            page.mouse.click(box["x"] + column, box["y"] + row)
        found.add(page.inner_text("#detail h2"))
    assert found & set(scene["map"]["label"]) and found & set(scene["runs"][0]["label"])


def test_filters_keys_and_scrubbing(open_page, address, scene):
    page, (run,) = open_page(address), scene["runs"]
    for key, verdict in (("w", "wrong"), ("r", "refused")):
        page.keyboard.press(key)
        frames = [at for at, one in enumerate(run["verdict"]) if one == verdict]
        assert page.inner_text("#count") == f"{len(frames)} of 12 frames"
        if frames:
            page.keyboard.press("Home")
            assert shown(page) == frames[0]
            page.keyboard.press("End")
            assert shown(page) == frames[-1]
    page.keyboard.press("a")
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    assert shown(page) == 10
    page.keyboard.press("ArrowLeft")
    assert shown(page) == 9
    limit = sorted(run["probability"])[3]
    page.locator("#below").fill(f"{limit:.2f}")
    assert page.inner_text("#count") == f"{sum(one < round(limit, 2) for one in run['probability'])} of 12 frames"
    page.locator("#below").fill("1")
    line = page.locator("#timeline").bounding_box()
    page.mouse.move(line["x"] + 2, line["y"] + 10)
    page.mouse.down()
    page.mouse.move(line["x"] + 0.63 * line["width"], line["y"] + 10)
    assert shown(page) == 7
    page.mouse.up()
    before = pixels(page, "#dots")
    page.keyboard.press("h")
    until(page, "document.getElementById('legend').innerText.includes('similarity')")
    page.wait_for_timeout(150)
    heated = pixels(page, "#dots")
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_timeout(150)
    assert len({before, heated, pixels(page, "#dots")}) == 3


def test_the_panel_of_the_last_selected_frame_wins(open_page, address):
    page = open_page(address)
    page.keyboard.press("Home")
    for _ in range(11):
        page.keyboard.press("ArrowRight")
    assert shown(page) == 11 and "evening/0011.jpg" in page.inner_text("#detail h2")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_in_both_schemes_and_on_a_phone(browser, address, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#detail .bars")
    for key, shown_then in (("a", "#map"), ("m", "#matrix-range")):
        page.keyboard.press(key)
        until(page, f"document.querySelector('{shown_then}').innerText.length > 0")
        found = axe.Axe().run(page).response
        assert len(found["passes"]) > 30
        assert not [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")]
        assert page.evaluate("document.documentElement.scrollWidth") == width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 28)")
    context.close()


def test_hostile_names_are_text(browser, address, tmp_path):
    hostile = "<script>hacked()</script><img src=x onerror=hacked()>"
    frames = [
        Frame(f"{hostile}{at}", None, None, float(at), Pose(at, 0.0), f"</script>{hostile}{at % 2}") for at in range(6)
    ]
    with new_map(tmp_path / "hostile <b>.vprmap", frames, unit_rows(6, DIM)):
        pass
    with viewed(tmp_path / "hostile <b>.vprmap") as hostile_map:
        for opened, label in ((address, HOSTILE), (hostile_map, f"{hostile}0")):
            page = browser.new_page()
            hacked = []
            page.expose_function("hacked", lambda: hacked.append(True))  # noqa: B023
            page.goto(opened)
            page.wait_for_selector("body[data-ready]")
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Home")
            until(page, f"document.querySelector('#detail h2').innerText.includes({label!r})")
            page.wait_for_timeout(200)
            assert not hacked and page.locator("img[src=x]").count() == 0
            page.close()


def test_one_file_shows_the_same_without_a_server(open_page, run, drawn_map, tmp_path):
    report = tmp_path / "report.html"
    options = ("--no-sequence", "--false-positive-rate", "0.2")
    done = vpr("query", drawn_map, run, *options, "-o", report)
    assert done.returncode == 0 and report.stat().st_size < 1_500_000
    page = open_page(report.as_uri(), 390, "dark")
    assert "Accepted, and wrong" in page.inner_text(".verdict")
    page.keyboard.press("Home")
    assert shown(page) == 0 and HOSTILE in page.inner_text("#detail h2")
    until(page, "[...document.querySelectorAll('.pair img')].every((image) => image.naturalWidth > 100)")
    page.wait_for_timeout(100)
    assert page.locator("img[src=x]").count() == 0 and amber(page) > 100
    page.keyboard.press("h")
    until(page, "document.getElementById('legend').innerText.includes('similarity')")
    assert "http" not in report.read_text().replace("http-equiv", "")
    assert "exists already" in vpr("query", drawn_map, run, "-o", report).stderr


def test_fifty_thousand_places_are_drawn_in_full(open_page, tmp_path):
    """Each drag draws the map again, within the time that the benchmark measures; here only that it does."""
    count = 50_000
    frames = [
        Frame(str(at), None, None, float(at), Pose(4.0 * (at % 250), 3.0 * (at // 250)), f"traverse {at // 2000}")
        for at in range(count)
    ]
    with new_map(tmp_path / "large.vprmap", frames, unit_rows(count, DIM)):
        pass
    with viewed(tmp_path / "large.vprmap") as address:
        page = open_page(address)
        assert "50,000 places in 25 traverses" in page.inner_text("#summary")
        before, box = pixels(page, "#dots"), page.locator("#overlay").bounding_box()
        assert drawn_pixels(page, "#dots") > 50_000
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 260, box["y"] + 240, steps=5)
        page.mouse.up()
        time.sleep(0.2)
        assert pixels(page, "#dots") != before
        page.keyboard.press("ArrowRight")
        until(page, "document.querySelector('#detail h2').innerText === '0'")


def test_a_live_page_follows_its_run(browser, drawn, drawn_map):
    """Frames come while the page is open; the newest is selected until the user selects another, or that one is no longer kept."""
    import threading

    import uvicorn

    from vpr_aesvc import PlaceMap, Recognizer, open_input
    from vpr_aesvc.describer import Describer
    from vpr_aesvc.view.recognized_run import RecognizedRun
    from vpr_aesvc.view.server import application

    with PlaceMap.open(drawn_map) as place_map:
        model = Describer.open(place_map.model_path)
        recognizer = Recognizer(place_map, model)
        run = RecognizedRun("camera 0", recognizer.snapshot, recognizer.settings, most=4)
        frames = list(open_input(drawn).split("query"))

        def come(frame):
            descriptor = model.describe(read_image(frame.path))
            run.add(frame, descriptor, recognizer.recognize(frame, descriptor=descriptor))

        server = uvicorn.Server(
            uvicorn.Config(application(place_map, [run], None, is_live=True), port=0, log_level="error")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.05)
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/")
            until(page, "document.body.dataset.ready === 'yes'")
            for number, frame in enumerate(frames[:4], 1):
                come(frame)
                until(page, f"document.getElementById('summary').textContent.includes('{number} frames')")
                assert shown(page) == number - 1
            page.keyboard.press("Home")
            come(frames[4])
            until(
                page, "document.getElementById('summary').textContent.includes('3 frames')"
            )  # the newest two, and this one
            until(page, f"document.querySelector('#detail h2').innerText === '{frames[2].label}'")
            assert shown(page) == 0
            page.close()
        finally:
            server.should_exit = True
            thread.join(10)
