"""A task's details on the monitor: its pictures, the same task again, its error, and the next one."""

import asyncio
import base64
import json
import re
from pathlib import Path

from playwright.async_api import Page, expect

from tests.app.routes.test_control import BROKEN
from tests.browser.conftest import Watch
from tests.browser.monitor import Monitor
from tests.conftest import PHOTO, Client
from tests.support.pictures import jpeg
from worker.storage import Storage
from worker.tasks.store import Tasks

TINY = jpeg((8, 8))


async def test_upload_and_result_are_side_by_side_and_can_be_downloaded(
    service: Client, page: Page, monitor: Monitor
) -> None:
    await page.set_viewport_size({"width": 1440, "height": 900})
    data = jpeg((400, 300))
    task_id = await service.upload(data, name="boat.jpg", operation="resize", width="80", height="60", format="webp")
    await service.ended(task_id)
    await monitor.open(f"/monitor#task-{task_id}")
    upload = monitor.drawer.get_by_role("img", name="The upload, boat.jpg")
    result = monitor.drawer.get_by_role("img", name="The result, boat.webp")
    await expect(upload).to_have_js_property("naturalWidth", 400)
    await expect(result).to_have_js_property("naturalWidth", 80)
    left, right = await upload.bounding_box(), await result.bounding_box()
    assert left
    assert right
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] < right["x"]
    async with page.expect_download() as download:
        await monitor.drawer.get_by_role("link", name="Download boat.jpg").click()
    assert Path(await (await download.value).path()).read_bytes() == data
    async with page.expect_download() as download:
        await monitor.drawer.get_by_role("link", name="Download boat.webp").click()
    assert (await download.value).suggested_filename == "boat.webp"


async def test_pictures_that_cannot_be_shown_have_an_icon(
    service: Client, page: Page, monitor: Monitor, storage: Storage, watch: Watch
) -> None:
    task_id = await service.upload(TINY, name="gone.jpg", format="tiff")
    await service.ended(task_id)
    await storage.delete(f"uploads/{task_id}")
    watch.allowed.append("410")
    await monitor.open(f"/monitor#task-{task_id}")
    await expect(monitor.drawer.locator(".picture .blank")).to_have_count(2)
    await expect(monitor.drawer.get_by_role("link", name="gone.tif", exact=True)).to_be_visible()


async def test_a_notice_is_visible_over_the_open_task(service: Client, page: Page, monitor: Monitor) -> None:
    task_id = await service.upload(TINY)
    await service.ended(task_id)
    await monitor.open(f"/monitor#task-{task_id}")
    await monitor.drawer.get_by_role("button", name="Copy the id").click()
    toast = page.locator(".toast").filter(has_text="The id is copied.")
    await expect(toast).to_be_visible()
    assert await toast.evaluate(
        """toast => {
            const {x, y} = toast.getBoundingClientRect();
            return toast.contains(document.elementFromPoint(x + 20, y + 20));
        }"""
    )
    await monitor.drawer.get_by_role("button", name="Copy the id").click()
    await expect(toast).to_have_count(2)
    await toast.first.get_by_role("button", name="Close").click()
    await expect(toast).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(monitor.drawer).to_be_hidden()
    await expect(toast).to_be_visible()
    await toast.get_by_role("button", name="Close").click()
    await expect(toast).to_have_count(0)


async def copied_curl(page: Page, monitor: Monitor) -> str:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await monitor.drawer.get_by_role("button", name="Copy as curl").click()
    await monitor.said("The command is copied.")
    text: str = await page.evaluate("navigator.clipboard.readText()")
    return text


async def run_in_shell(command: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def test_the_copied_command_creates_the_same_task_again(
    service: Client, page: Page, monitor: Monitor, tmp_path: Path
) -> None:
    name = "it's a boat; 1.jpg"
    fields = {"operation": "resize", "width": "60", "fit": "inside", "format": "webp", "priority": "low", "tags": "a,b"}
    task_id = await service.upload(PHOTO, name=name, **fields)
    await service.ended(task_id)
    await monitor.open(f"/monitor#task-{task_id}")
    command = await copied_curl(page, monitor)
    assert "quality" not in command  # a default
    (tmp_path / name).write_bytes(PHOTO)
    await run_in_shell(command, tmp_path)
    again, first = (await service.get("/tasks")).json()["tasks"]
    assert first["task_id"] == task_id
    same = ("operations", "output", "priority", "tags", "file")
    assert {key: again[key] for key in same} == {key: first[key] for key in same}
    assert again["outputs"][0]["sha256"] == first["outputs"][0]["sha256"]
    [saved] = tmp_path.glob("*.webp")
    assert saved.name == Path(first["outputs"][0]["path"]).name
    assert saved.stat().st_size == first["outputs"][0]["bytes"]


async def test_the_command_of_several_variants_creates_them_all(
    service: Client, page: Page, monitor: Monitor, tmp_path: Path
) -> None:
    variants = (
        '{"small": {"operations": [{"operation": "resize", "width": 20, "height": 20}], "format": "webp"}, "plain": {}}'
    )
    files = {"file": ("photo.jpg", PHOTO)}
    task_id = (await service.post("/process-image/", files=files, data={"variants": variants})).json()["task_id"]
    await service.ended(task_id)
    await monitor.open(f"/monitor#task-{task_id}")
    await expect(monitor.drawer.get_by_role("img")).to_have_count(3)
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    await run_in_shell(await copied_curl(page, monitor), tmp_path)
    again, first = (await service.get("/tasks")).json()["tasks"]
    assert again["variants"] == first["variants"]
    assert {"photo-small.webp", "photo-plain.jpg"} <= {path.name for path in tmp_path.iterdir()}


async def test_a_task_is_opened_in_the_studio(service: Client, page: Page, monitor: Monitor) -> None:
    """With its upload and its recipe, once: a reload does not add the upload again."""
    task_id = await service.upload(TINY, name="tiny.jpg", operation="blur", sigma="7.5", format="webp")
    await service.ended(task_id)
    await monitor.open(f"/monitor#task-{task_id}")
    requested = monitor.drawer.locator("dt", has_text="Requested").locator("+ dd")
    await expect(requested).to_have_text(re.compile(r"^blur sigma 7.5\s*format webp$"))
    await monitor.drawer.get_by_role("link", name="Open in studio").click()
    step = page.locator(".step")
    await expect(step).to_have_count(1)
    await expect(step).to_contain_text("Blur")
    link = page.url.partition("#r=")[2]
    recipe = json.loads(base64.urlsafe_b64decode(link + "=" * (-len(link) % 4)))
    assert recipe == {"operations": [{"operation": "blur", "sigma": 7.5}], "format": "webp"}
    for _ in range(2):
        await expect(page.locator(".tile")).to_have_count(1)
        await expect(page.locator(".tile")).to_have_accessible_name(re.compile("tiny.jpg"))
        assert "task=" not in page.url
        await page.reload()


async def test_the_studio_says_that_the_upload_of_a_task_is_gone(
    service: Client, page: Page, tasks: Tasks, storage: Storage, watch: Watch
) -> None:
    watch.allowed.append("410")
    task_id = await service.upload(TINY)
    await service.ended(task_id)
    await storage.delete((await tasks.get(task_id)).upload_path)
    await page.goto(f"/?task={task_id}#r=e30")
    await expect(page.locator("#toast-words")).to_contain_text("The picture of the task cannot be used: the upload")


async def test_a_deleted_task_leaves_the_list(service: Client, page: Page, monitor: Monitor, watch: Watch) -> None:
    """Deleted here, and by another client, of which there is no event."""
    watch.allowed.append("404")
    mine, others, kept = [await service.upload(TINY, name=name) for name in ("mine.jpg", "others.jpg", "kept.jpg")]
    for task_id in (mine, others, kept):
        await service.ended(task_id)
    await monitor.open(f"/monitor#task-{mine}")
    await monitor.drawer.get_by_role("button", name="Delete").click()
    await monitor.confirm("Delete")
    await expect(monitor.rows).to_have_count(2)
    await expect(page.locator("#tasks-title")).to_be_focused()
    await service.delete(f"/tasks/{others}")
    await expect(monitor.rows).to_have_count(1)
    await expect(monitor.row(kept)).to_be_visible()


async def test_an_error_says_what_it_means_and_whether_a_retry_helps(
    service: Client, page: Page, monitor: Monitor, tasks: Tasks
) -> None:
    broken = await service.upload(BROKEN, name="broken.jpg")
    await service.ended(broken)
    await monitor.open(f"/monitor#task-{broken}")
    await expect(monitor.drawer.get_by_text("A retry will not help.")).to_be_visible()
    await expect(monitor.drawer.get_by_role("link", name="damaged")).to_have_attribute("href", "/docs#error-damaged")
    retry = monitor.drawer.get_by_role("button", name="Retry")
    await expect(retry).not_to_have_class(re.compile("primary"))
    await page.keyboard.press("Escape")
    in_row = monitor.button("Retry broken.jpg")
    await expect(in_row).to_have_class(re.compile("quiet"))
    await expect(in_row).to_have_attribute("title", "A retry will not help")
    await monitor.leave_rows()
    await service.post("/queue/pause")
    revoked = await service.upload(TINY, name="revoked.jpg")
    await service.post(f"/tasks/{revoked}/cancel")
    await expect(monitor.button("Retry revoked.jpg")).not_to_have_class(re.compile("quiet"))
    await monitor.row(revoked).get_by_role("link").click()
    await expect(retry).to_have_class(re.compile("primary"))
    await expect(monitor.drawer.get_by_text("A retry will not help.")).to_be_hidden()


async def test_the_next_and_previous_task_of_the_list_are_a_key_away(
    service: Client, page: Page, monitor: Monitor
) -> None:
    ids = [await service.upload(TINY, name=f"{number}.jpg") for number in range(3)]
    for task_id in ids:
        await service.ended(task_id)
    await monitor.open()
    await monitor.row(ids[2]).get_by_role("link").click()
    heading = monitor.drawer.get_by_role("heading", level=2)
    await expect(heading).to_have_text("2.jpg")
    await expect(monitor.drawer.get_by_role("button", name="Previous task")).to_be_disabled()
    await monitor.drawer.get_by_role("button", name="Next task").click()
    await expect(heading).to_have_text("1.jpg")
    await expect(monitor.drawer.get_by_role("button", name="Next task")).to_be_focused()
    await page.keyboard.press("j")
    await expect(heading).to_have_text("0.jpg")
    await expect(page).to_have_url(re.compile(f"#task-{ids[0]}$"))
    await page.keyboard.press("j")  # it is the last one
    await page.keyboard.press("k")
    await expect(heading).to_have_text("1.jpg")
    await page.keyboard.press("Escape")
    await expect(monitor.row(ids[1]).get_by_role("link")).to_be_focused()
