"""The page Epochs with a checkpoint open, without a browser."""

from page_script import open_page

from dashboards import jobs

SECONDS = 120


def open_checkpoint(run_id, epoch=1, stem="disc4"):
    """The page with the masks of an epoch, when they are there."""
    return settle(
        open_page("epochs", run=run_id, show="checkpoint", checkpoint=str(epoch), stem=stem)
    )


def settle(page):
    """The page when nothing goes on in the background any more."""
    assert not page.exception
    for _ in range(10):
        if not page.get("progress"):
            return page
        assert all(job.wait(SECONDS) for job in jobs._jobs.values())
        page.run()
        assert not page.exception
    raise AssertionError("it never ends")


def click(page, label):
    next(button for button in page.button if button.label == label).click()
    return settle(page.run())


def labels(page):
    return [button.label for button in page.button]
