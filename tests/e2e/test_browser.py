"""The local page in real Chromium, with the shipped detectors and nothing but drawn puppets.

Screenshots of each state go to the folder named by GIOCONDA_GALLERY, else nowhere; ``make gallery`` makes those of docs/gallery.
"""

import base64
import io
import os
import re
import shutil
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no Chromium or no chromedriver here", allow_module_level=True)

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def home(folder, _converted):
    patch = pytest.MonkeyPatch()
    for name in ("home", "cache"):
        patch.setenv(f"GIOCONDA_{name.upper()}", str(folder / name))
    (folder / "cache").mkdir()
    (folder / "cache" / "backbone").symlink_to(_converted, target_is_directory=True)
    patch.setenv("OMP_NUM_THREADS", "1")
    yield folder / "home"
    patch.undo()


@pytest.fixture(scope="module")
def clips(folder, home):
    """A puppet clip as it is, and one signed as what it is: generated."""
    import numpy as np

    from gioconda_core.media.clip import write_video
    from gioconda_core.types import Claim, Ingredient
    from provenance.signing import sign
    from synth.puppets.perform import perform

    take = perform(5, 2, frames=165, size=320)
    both_ways = np.concatenate([take.frames, take.frames[::-1]])  # 13 s: two windows, so that there is a strip
    wide = np.pad(both_ways, ((0, 0), (0, 0), (125, 125), (0, 0)), mode="edge")[:, :, :568]
    write_video(folder / "puppet.mp4", wide, fps=take.fps)
    claim = Claim(
        "A puppet speaks", "self-reenactment", "fake", "few-shot", "0.1.0",
        ingredients=(Ingredient("source", "cd" * 32, "portrait.png"), Ingredient("driver", "ce" * 32, "driver.mp4")), seed="7",
    )  # fmt: skip
    sign.sign_file(folder / "puppet.mp4", folder / "signed-puppet.mp4", claim)
    from gioconda_core.media.pictures import jpeg

    (folder / "still.jpg").write_bytes(jpeg(wide[40], quality=80))
    (folder / "notes.mp4").write_text("Not a clip at all.\n")
    with open(folder / "two-gigabytes.mp4", "wb") as file:
        file.truncate(2_000_000_000)  # sparse: takes no room
    return folder


@pytest.fixture(scope="module")
def address(clips, home, serving):
    server, address = serving(clips / "serve", "--trust-development")
    yield address
    server.terminate()
    server.wait(20)


def browser(width=1000, height=900, dark=False):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for item in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars", f"--window-size={width},{height}",
    ):  # fmt: skip
        options.add_argument(item)
    if dark:
        options.add_argument("--blink-settings=preferredColorScheme=0")
    made = webdriver.Chrome(options=options, service=Service(DRIVER))
    if width < 500:
        _size(made, width, height, mobile=True)
    return made


def _size(page, width, height, mobile=False):
    measures = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", measures)


@pytest.fixture(scope="module")
def chromium(address):
    """One browser for all tests: its start takes a second of processor time."""
    made = browser()
    yield made
    made.quit()


@pytest.fixture
def page(chromium, address):
    """A window of its own for each test, in a browser that has kept nothing of those before."""
    chromium.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": address.rstrip("/"), "storageTypes": "all"})
    before = chromium.window_handles
    chromium.switch_to.new_window("window")
    own = chromium.current_window_handle
    for handle in before:
        chromium.switch_to.window(handle)
        chromium.close()
    chromium.switch_to.window(own)
    yield chromium
    errors = [
        line
        for line in chromium.get_log("browser")
        if line["level"] == "SEVERE" and "status of 404" not in line["message"]
    ]
    assert not errors  # a refused script, style or request of the policy's would be here


def picture(page, name, width=1000, height=None):
    """Keep a screenshot in the gallery, in few enough colours to be small."""
    gallery = os.environ.get("GIOCONDA_GALLERY")
    if not gallery:
        return
    from PIL import Image

    tall = page.execute_script("return document.documentElement.scrollHeight")
    _size(page, width, min(height or tall, 2600), mobile=width < 500)
    time.sleep(0.5)
    shot = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB")
    Path(gallery).mkdir(parents=True, exist_ok=True)
    for colours in (256, 128, 64, 32):
        shot.quantize(colours).save(Path(gallery) / name, optimize=True)
        if (Path(gallery) / name).stat().st_size <= 200_000:
            return


def until(page, selector, seconds=180):
    """The first element that ``selector`` finds, waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = page.find_elements(By.CSS_SELECTOR, selector)
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"{selector} never came; the page says: {said(page)[:500]}")


def said(page, selector="main", seconds=20):
    """The text that is shown there; read again where the page moved on between finding the element and reading it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return page.find_element(By.CSS_SELECTOR, selector).text
        except (NoSuchElementException, StaleElementReferenceException):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def until_said(page, words, selector="main", seconds=60):
    """The text that is shown there, waited for until ``words`` are in it."""
    end = time.monotonic() + seconds
    while words not in (text := said(page, selector)):
        assert time.monotonic() < end, f"{words!r} never came; the page says: {text[:500]}"
        time.sleep(0.2)
    return text


def press(page, selector, seconds=20):
    """Click on it, found anew where the page put another in its place meanwhile."""
    end = time.monotonic() + seconds
    while True:
        try:
            return page.find_element(By.CSS_SELECTOR, selector).click()
        except (NoSuchElementException, StaleElementReferenceException):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def accessible(page):
    """No violation that axe-core knows of, in the state the page is in."""
    from importlib.resources import files

    page.execute_cdp_cmd("Runtime.evaluate", {"expression": (files("axe_core_python") / "axe.min.js").read_text()})
    found = page.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert not found["violations"], [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]]


def focused(page):
    return page.switch_to.active_element


def tab_to(page, wanted, most=60):
    """Press Tab until something that ``wanted`` is true of has the focus."""
    for _ in range(most):
        webdriver.ActionChains(page).send_keys(Keys.TAB).perform()
        if wanted(focused(page)):
            return focused(page)
    raise AssertionError("Tab never came there")


def drop(page, path):
    page.find_element(By.ID, "file").send_keys(str(path))


def test_a_first_visit_says_what_can_be_seen_and_what_cannot(page, address):
    page.get(address)
    text = said(page)
    assert "Nothing here yet" in text and "What it cannot see" in text
    assert "deleted after 24 h" in text and "at most 1 GB" in text
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert focused(page).get_attribute("class") == "skip"
    accessible(page)
    page.execute_script("document.activeElement.blur()")
    picture(page, "serve-empty.png")
    _size(page, 1000, 900)
    page.execute_script(
        "const data = new DataTransfer(); data.setData('text/uri-list', 'https://example.org/clip.mp4');"
        "document.getElementById('drop').dispatchEvent(new DragEvent('drop', {bubbles: true, dataTransfer: data}))"
    )
    assert "nothing is fetched from the network" in said(page, "#notice:not([hidden])", 5)
    for lang, words in (("es", "Suelte aquí"), ("fr", "Déposez ici"), ("de", "hier ablegen"), ("ja", "ドロップ")):
        page.get(f"{address}?lang={lang}")
        assert words in said(page)


def test_an_example_is_made_signed_and_examined(page, address):
    page.get(address)
    press(page, "button[data-post='/example']")
    until(page, "#report", 240)
    text = said(page)
    assert (
        "The credential itself states that AI made or edited this media, or a part of it." in text
        and "Keyframes" in text
    )
    page.get(address)
    row = said(page, "li[data-clip]")
    assert "example.mp4" in row and "6 s" in row and "done" not in row
    assert page.find_elements(By.CSS_SELECTOR, "li[data-clip] img")
    picture(page, "serve-list.png", height=700)
    press(page, "li button[data-post$='/delete']")
    question = page.switch_to.alert
    assert "example.mp4" in question.text
    question.dismiss()
    assert page.find_elements(By.CSS_SELECTOR, "li[data-clip]")
    press(page, "li button[data-post$='/delete']")
    page.switch_to.alert.accept()
    until(page, "#empty")


def test_a_signed_fake_says_so_itself_and_can_be_walked_through(page, address, clips):
    page.get(address)
    page.find_element(By.ID, "file").send_keys(str(clips / "signed-puppet.mp4"))
    until(page, "#waiting progress")
    accessible(page)
    stages, left = set(), ""
    while page.find_elements(By.ID, "stage"):
        try:
            stages.add(page.find_element(By.ID, "stage").text)
            left = page.find_element(By.ID, "left").text
        except (NoSuchElementException, StaleElementReferenceException):  # the page has moved on to the report
            break
        if any("frames followed" in stage for stage in stages) and "left" in left:
            break
    picture(page, "serve-waiting.png", height=500)
    assert any(re.search(r"\d+ of about \d+ frames followed", stage) for stage in stages), stages
    until(page, "#report")
    accessible(page)
    text = said(page)
    assert "The credential itself states that AI made or edited this media, or a part of it." in text
    assert "development key" in text and "not that the scene happened" in text
    headings = [h.text for h in page.find_elements(By.CSS_SELECTOR, "section h2") if h.is_displayed()]
    shown = [h for h in headings if h]
    assert shown[-5:] == ["Where it came from", "What to do next", "For your editor", "Keyframes", "Add to a case"]
    press(page, "details.folded > summary")
    text = said(page)
    assert "portrait.png" in text and "driver.mp4" in text
    headings = [h.text for h in page.find_elements(By.CSS_SELECTOR, "section h2") if h.is_displayed()]
    assert {"What the detectors saw", "Technical details"} <= set(headings)

    # The video plays here, a strip moves it by pointer and by keys, and the face has its box.
    assert page.execute_script("return document.getElementById('video').readyState") >= 1
    strip = until(page, "svg.strip[data-seek]")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", strip)
    strip.click()
    at = float(page.execute_script("return document.getElementById('video').currentTime"))
    assert at == pytest.approx(330 / 25 / 2, abs=0.5)  # in the middle of the strip
    strip.send_keys(Keys.ARROW_RIGHT)
    later = float(page.execute_script("return document.getElementById('video').currentTime"))
    assert later > at and strip.get_attribute("aria-valuetext").endswith(" s")
    assert until(page, "#overlay rect.box", 10)
    still = page.find_elements(By.CSS_SELECTOR, "button[data-time]")[-1]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", still)
    still.click()
    assert float(page.execute_script("return document.getElementById('video').currentTime")) > 3

    for image in page.find_elements(By.CSS_SELECTOR, "main img"):
        assert image.get_attribute("alt") is not None
    for button in page.find_elements(By.CSS_SELECTOR, "button, a"):
        named = button.get_attribute("aria-label") or button.get_attribute("textContent").strip()
        assert named or button.find_element(By.TAG_NAME, "img").get_attribute("alt")

    # A frame on and back, slow motion, a keyframe whole, a hash copied; the player stays in sight.
    page.execute_script("document.getElementById('video').currentTime = 2")
    time.sleep(0.3)
    now = lambda: float(page.execute_script("return document.getElementById('video').currentTime"))  # noqa: E731
    page.find_element(By.TAG_NAME, "body").send_keys(".")
    assert now() == pytest.approx(2.06, abs=0.001)
    page.find_element(By.TAG_NAME, "body").send_keys(",")
    assert now() == pytest.approx(2.02, abs=0.001)
    press(page, "#speed option[value='0.25']")
    assert page.execute_script("return document.getElementById('video').playbackRate") == 0.25
    page.execute_script("document.getElementById('report').scrollIntoView({block: 'end', behavior: 'instant'})")
    assert page.execute_script("return document.getElementById('player').getBoundingClientRect().top") >= 0
    keyframe = page.find_element(By.CSS_SELECTOR, ".frames a[href$='.jpg']").get_attribute("href")
    wide = page.execute_async_script(
        "const done = arguments[1]; const i = new Image(); i.onload = () => done(i.naturalWidth); i.src = arguments[0]",
        keyframe,
    )
    assert wide == 568
    assert {a.get_attribute("rel") for a in page.find_elements(By.CSS_SELECTOR, "a[href^='https:']")} == {
        "noopener noreferrer"
    }
    accessible(page)

    pdf = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    assert int(re.search(rb"/Count (\d+)", base64.b64decode(pdf))[1]) <= 3
    page.execute_script("window.scrollTo(0, 0); document.getElementById('video').currentTime = 1.2")
    picture(page, "serve-signed-fake.png")


def test_an_unsigned_clip_is_never_called_authentic(page, address, clips):
    page.get(address)
    page.find_element(By.ID, "file").send_keys(str(clips / "puppet.mp4"))
    until(page, "#report")
    text = said(page)
    assert "Absence says nothing either way" in text
    levels = ("No strong signal found", "A signal was found", "A strong signal was found", "Not assessed")
    assert any(level in text for level in levels)
    assert not re.search(r"\bis (a )?(fake|real|authentic)\b", text.replace("does not show the clip is authentic", ""))
    address_now = page.current_url
    picture(page, "serve-unsigned.png")

    small = browser(360, 780, dark=True)
    try:
        small.get(address_now)
        until(small, "#report")
        wide = small.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 360, f"the page is {wide} pixels wide in a window of 360"
        accessible(small)
        picture(small, "serve-phone-dark.png", width=360, height=2000)
        small.get(address)
        assert small.execute_script("return document.documentElement.scrollWidth") <= 360
        small.get(address_now.split("?")[0] + "?lang=ja")
        assert "次にすること" in said(small)
    finally:
        small.quit()


def test_a_clip_goes_into_a_case_that_can_be_read_and_taken_away(page, address, clips, home):
    page.get(address)
    assert "No case yet" in said(page)
    page.find_element(By.LINK_TEXT, "puppet.mp4").click()
    form = until(page, "form.fields")
    assert form.find_element(By.NAME, "name").is_displayed(), "there is only a new case to put it into"
    form.find_element(By.NAME, "name").send_keys("Clip from Strasbourg")
    form.find_element(By.NAME, "by").send_keys("A. Editor")
    note = form.find_element(By.NAME, "note")
    note.send_keys("The uploader says it was filmed on 12 May.", Keys.TAB)
    focused(page).send_keys(Keys.ENTER)
    until(page, "#whole")
    text = said(page)
    for words in (
        "Clip from Strasbourg",
        "filmed on 12 May",
        "puppet-report.html",
        "A. Editor",
        "Whole: the log’s lines (5)",
    ):
        assert words in text, words
    accessible(page)
    page.find_element(By.CSS_SELECTOR, "textarea").send_keys("Called the uploader: no answer.")
    who = page.find_element(By.CSS_SELECTOR, "form input[name='by']")
    assert who.get_attribute("value") == "A. Editor", "it is remembered"
    who.clear()
    who.send_keys("B. Reporter")
    press(page, "form button")
    assert "B. Reporter" in until_said(page, "lines (6)")
    picture(page, "serve-case.png")
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(clips)})
    press(page, "form[data-send*='/export'] button")
    end = time.monotonic() + 60
    while not (clips / "Clip_from_Strasbourg.zip").is_file():
        assert time.monotonic() < end, "the ZIP never came"
        time.sleep(0.2)
    from provenance.reading import read

    assert read.read(clips / "Clip_from_Strasbourg.zip").state.intact
    page.get(address)
    assert "lines in the log: 7" in said(page)
    assert (home / "cases" / "Clip_from_Strasbourg" / "log.jsonl").is_file()
    page.find_element(By.LINK_TEXT, "puppet.mp4").click()
    until(page, "form.fields")
    assert not page.find_element(By.NAME, "name").is_displayed(), "it can go into the case that is there"


def test_a_dropped_text_file_called_mp4_is_told_apart(page, address):
    page.get(address)
    page.execute_script(
        "const data = new DataTransfer(); data.items.add(new File(['Not a clip at all.'], 'notes.mp4', {type: 'video/mp4'}));"
        "document.getElementById('drop').dispatchEvent(new DragEvent('drop', {bubbles: true, dataTransfer: data}))"
    )
    until(page, "#waiting[data-active='no']")
    text = said(page)
    assert "could not be examined" in text and "notes.mp4" in text
    picture(page, "serve-not-a-clip.png", height=500)
    press(page, "button[data-post$='/delete']")
    page.switch_to.alert.accept()
    until(page, "#drop")
    assert "notes.mp4" not in said(page, "#jobs")


def test_the_keyboard_alone_leads_from_the_list_to_a_moment(page, address, clips):
    page.get(address)
    assert "puppet.mp4" in said(page, "#jobs"), "of the tests before"
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    title = tab_to(page, lambda e: e.get_attribute("class") == "title")
    title.send_keys(Keys.ENTER)
    until(page, "#report")
    tab_to(page, lambda e: e.tag_name == "summary").send_keys(Keys.ENTER)
    strip = tab_to(page, lambda e: e.get_attribute("role") == "slider")
    strip.send_keys(Keys.END)
    assert float(page.execute_script("return document.getElementById('video').currentTime")) > 5
    strip.send_keys(Keys.HOME)
    strip.send_keys(".")
    assert 0 < float(page.execute_script("return document.getElementById('video').currentTime")) < 0.2


def test_two_clips_are_compared_and_play_together(page, address, clips):
    page.get(address)
    picks = page.find_elements(By.CSS_SELECTOR, "input.pick")
    assert len(picks) >= 2 and not page.find_element(By.ID, "compare").is_enabled()
    for pick in picks[:2]:
        pick.click()
    press(page, "#compare")
    until(page, "#report #players")
    text = said(page)
    assert "frames are the same to the pixel" in text or "Encoding again does that" in text
    accessible(page)
    press(page, "#both")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        times = page.execute_script("return [...document.querySelectorAll('video.side')].map((v) => v.currentTime)")
        if min(times) > 0.5:
            break
        time.sleep(0.2)
    assert min(times) > 0.5 and abs(times[0] - times[1]) < 0.3, times
    press(page, "#both")
    picture(page, "serve-compare.png")


def test_a_still_has_views_and_a_magnifier(page, address, clips):
    page.get(address)
    drop(page, clips / "still.jpg")
    until(page, "#report")
    text = said(page)
    assert "Views to look at, not verdicts" in text and "JPEG grid" in text
    view = page.find_elements(By.CSS_SELECTOR, ".frames img[data-magnify]")[0]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", view)
    view.send_keys(Keys.ARROW_RIGHT)
    glass = view.find_element(By.XPATH, "following-sibling::canvas")
    assert glass.is_displayed()
    accessible(page)
    picture(page, "serve-still.png")


def test_what_is_gone_is_said_and_so_is_a_program_that_has_ended(page, address, serving, clips):
    page.get(f"{address}clips/{'0' * 32}?lang=fr")
    assert "n’est plus là" in said(page, "#gone")
    accessible(page)
    page.get(address)
    page.execute_script("window.fetch = () => Promise.reject(new TypeError('gone'))")
    page.execute_script("for (let i = 0; i < 3; i++) setTimeout(() => ask('/clips.json'), 50 * i)")
    assert "does not answer" in said(page, "#away:not([hidden])", 5)
    accessible(page)


def test_two_gigabytes_are_refused_before_they_are_sent(page, address, clips):
    page.get(address)
    start = time.monotonic()
    page.find_element(By.ID, "file").send_keys(str(clips / "two-gigabytes.mp4"))
    notice = until(page, "#notice:not([hidden])", 20)
    assert "larger than the limit of 1 GB" in notice.text and time.monotonic() - start < 20
    assert page.find_element(By.ID, "notice").get_attribute("role") == "alert"
    assert not any(f.stat().st_size > 1_000_000_000 for f in (clips / "serve" / "files").iterdir())
    picture(page, "serve-too-large.png", height=700)
    # Of several, the one refused is still told where the list is shown anew.
    names = ["two-gigabytes.mp4", "still.jpg", "notes.mp4"]
    page.find_element(By.ID, "file").send_keys("\n".join(str(clips / name) for name in names))
    until(page, 'li[data-clip] a[href*="/clips/"]', 20)
    assert "two-gigabytes.mp4" in said(page, "#notice:not([hidden])", 5)
