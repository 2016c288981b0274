import io

from PIL import Image

from dmm.pages import coloured_png


def test_a_grey_image_is_coloured_and_left_as_it_was():
    grey = Image.new("L", (2, 1), 255)
    loud, quiet = coloured_png(grey), coloured_png(grey, dark_is_loud=True)
    assert grey.mode == "L"
    colours = [Image.open(io.BytesIO(png)).convert("RGB").getpixel((0, 0)) for png in (loud, quiet)]
    assert colours == [(252, 250, 214), (8, 7, 22)]
