"""The local page in real Chromium, with the shipped detectors and nothing but drawn puppets.

Screenshots of each state go to the folder named by GIOCONDA_GALLERY (docs/gallery is made this way), else nowhere.
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
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def home(folder):
    patch = pytest.MonkeyPatch()
    for name in ("home", "cache"):
        patch.setenv(f"GIOCONDA_{name.upper()}", str(folder / name))
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

    take = perform(5, 2, frames=330, size=320)  # 13 s: two windows, so that there is a strip
    wide = np.pad(take.frames, ((0, 0), (0, 0), (125, 125), (0, 0)), mode="edge")[:, :, :568]
    write_video(folder / "puppet.mp4", wide, fps=take.fps)
    claim = Claim(
        "A puppet speaks", "self-reenactment", "fake", "few-shot", "0.1.0",
        ingredients=(Ingredient("source", "cd" * 32, "portrait.png"), Ingredient("driver", "ce" * 32, "driver.mp4")), seed="7",
    )  # fmt: skip
    sign.sign_file(folder / "puppet.mp4", folder / "signed-puppet.mp4", claim)
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


@pytest.fixture
def page(address):
    made = browser()
    yield made
    errors = [line for line in made.get_log("browser") if line["level"] == "SEVERE"]
    made.quit()
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
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = page.find_elements(By.CSS_SELECTOR, selector)
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"{selector} never came; the page says: {page.find_element(By.TAG_NAME, 'main').text[:500]}")


def test_an_empty_page(page, address):
    page.get(address)
    assert "Nothing here yet" in page.find_element(By.ID, "jobs").text
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("class") == "skip"
    picture(page, "serve-empty.png", height=700)


def test_a_signed_fake_says_so_itself_and_can_be_walked_through(page, address, clips):
    page.get(address)
    page.find_element(By.ID, "file").send_keys(str(clips / "signed-puppet.mp4"))
    until(page, "#waiting progress")
    picture(page, "serve-waiting.png", height=500)
    until(page, "#report")
    text = page.find_element(By.TAG_NAME, "main").text
    assert "The credential itself states that AI made or edited this media." in text
    assert "development key" in text and "not that the scene happened" in text
    headings = [h.text for h in page.find_elements(By.CSS_SELECTOR, "section h2") if h.is_displayed()]
    shown = [h for h in headings if h]
    assert shown[-3:] == ["Where it came from", "What to do next", "For your editor"]
    page.find_element(By.CSS_SELECTOR, "details.folded > summary").click()
    text = page.find_element(By.TAG_NAME, "main").text
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
        assert button.get_attribute("aria-label") or button.get_attribute("textContent").strip()

    pdf = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    assert [int(n) for n in re.findall(rb"/Count (\d+)", base64.b64decode(pdf))] == [2]
    page.execute_script("window.scrollTo(0, 0); document.getElementById('video').currentTime = 1.2")
    picture(page, "serve-signed-fake.png")


def test_an_unsigned_clip_is_never_called_authentic(page, address, clips):
    page.get(address)
    page.find_element(By.ID, "file").send_keys(str(clips / "puppet.mp4"))
    until(page, "#report")
    text = page.find_element(By.TAG_NAME, "main").text
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
        picture(small, "serve-phone-dark.png", width=360, height=2000)
        small.get(address_now.split("?")[0] + "?lang=ja")
        assert "次にすること" in small.find_element(By.TAG_NAME, "main").text
    finally:
        small.quit()


def test_a_dropped_text_file_called_mp4_is_told_apart(page, address):
    page.get(address)
    page.execute_script(
        "const data = new DataTransfer(); data.items.add(new File(['Not a clip at all.'], 'notes.mp4', {type: 'video/mp4'}));"
        "document.getElementById('drop').dispatchEvent(new DragEvent('drop', {bubbles: true, dataTransfer: data}))"
    )
    until(page, "#waiting[data-active='no']")
    text = page.find_element(By.TAG_NAME, "main").text
    assert "could not be examined" in text and "notes.mp4" in text
    picture(page, "serve-not-a-clip.png", height=500)
    page.find_element(By.CSS_SELECTOR, "button[data-post$='/delete']").click()
    until(page, "#drop")
    assert "notes.mp4" not in page.find_element(By.ID, "jobs").text


def test_two_gigabytes_are_refused_before_they_are_sent(page, address, clips):
    page.get(address)
    start = time.monotonic()
    page.find_element(By.ID, "file").send_keys(str(clips / "two-gigabytes.mp4"))
    notice = until(page, "#notice:not([hidden])", 20)
    assert "larger than the limit of 1 GB" in notice.text and time.monotonic() - start < 20
    assert page.find_element(By.ID, "notice").get_attribute("role") == "alert"
    assert not any(f.stat().st_size > 1_000_000_000 for f in (clips / "serve" / "files").iterdir())
    picture(page, "serve-too-large.png", height=700)
