"""The row of thumbnails in a real Chromium."""


def test_small_pictures_leave_the_connections_to_the_viewer(visitor):
    """A browser asks a server for six things at once; one that waits must not hold up the tiles."""
    held = []

    def hold_back(route):
        held.append(route)

    visitor.page.route("**/thumbnails/**", hold_back)
    visitor.open()
    pictures = visitor.page.locator(".strip img")
    visitor.page.wait_for_timeout(500)
    assert pictures.count() > len(held) == 2
    while held:
        held.pop().continue_()
        visitor.page.wait_for_timeout(50)
    visitor.page.wait_for_function(
        "pictures => pictures.every((one) => one.complete && one.naturalWidth > 0)",
        arg=pictures.element_handles(),
    )
