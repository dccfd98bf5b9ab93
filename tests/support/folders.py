"""Writes a small data set in each layout: two classes, red and blue."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def picture(file: Path, colour: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 5), COLOURS[colour]).save(file)


def write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")


def numbered(sizes: dict[str, int]) -> Iterator[tuple[str, str, str]]:
    """Split, class and a name of its own for as many pairs of each class as each split has."""
    for split, size in sizes.items():
        for colour in COLOURS:
            for number in range(size):
                yield split, colour, f"{split}-{colour}-{number}"


def write_image_folder_csv(folder: Path, separator: str = ",") -> Path:
    rows = [["image", "text", "label", "split"]]
    for split, colour, name in numbered({"train": 2, "val": 1, "test": 1}):
        picture(folder / "images" / f"{name}.png", colour)
        rows.append([f"{name}.png", f'"a {colour}{separator} ""bright"" one\non two lines"', colour, split])
    write(folder / "pairs.csv", "".join(separator.join(row) + "\n" for row in rows))
    return folder


def write_wikipedia(folder: Path) -> Path:
    write(folder / "categories.list", "".join(f"{colour}\n" for colour in COLOURS))
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for split, colour, name in numbered({"train": 4, "test": 3}):
        picture(folder / "images" / colour / f"{name}.jpg", colour)
        write(
            folder / "texts" / f"text-{name}.xml", f"<document><text>\nIt is {colour} &amp; {name}.\n</text></document>"
        )
        lists[split].append(f"text-{name}\t{name}\t{list(COLOURS).index(colour) + 1}\n")
    for split, lines in lists.items():
        write(folder / f"{split}set_txt_img_cat.list", "".join(lines))
    return folder


def write_pascal_sentences(folder: Path) -> Path:
    for _, colour, name in numbered({"photo": 10}):
        picture(folder / "dataset" / colour / f"{name}.jpg", colour)
        write(folder / "sentence" / colour / f"{name}.txt", "".join(f"{colour}, said {n} times.\n" for n in range(5)))
    return folder


def write_xmedia(folder: Path) -> Path:
    lists: dict[str, list[str]] = {}
    for split, colour, name in numbered({"train": 2, "test": 2}):
        label = list(COLOURS).index(colour)
        picture(folder / "image" / colour / f"{name} photo.jpg", colour)
        write(folder / "text" / colour / f"{name}.txt", f"Of {colour} things.\nA whole article about {name}.\n")
        lists.setdefault(f"{split}_img", []).append(f"{colour}/{name} photo.jpg {label}\n")
        lists.setdefault(f"{split}_txt", []).append(f"{colour}/{name}.txt {label}\n")
    for stem, lines in lists.items():
        write(folder / "list" / f"{stem}.txt", "".join(lines))
    return folder


def write_nus_wide(folder: Path) -> Path:
    images, tags, animal, sky = [], [], [], []
    for photo, (_, colour, name) in enumerate(numbered({"photo": 10}), start=100):
        picture(folder / "Flickr" / name / f"0001_{photo}.jpg", colour)
        images.append(f"{name}\\0001_{photo}.jpg\n")
        tags.append(f"{photo}      {colour} {name}\n")
        animal.append(f"{int(colour == 'red')}\n")
        sky.append(f"{int(colour == 'blue')}\n")
    write(folder / "ImageList/Imagelist.txt", "".join(images))
    write(folder / "NUS_WID_Tags/All_Tags.txt", "".join(tags))
    others = dict.fromkeys(("clouds", "flowers", "food", "grass", "person", "toy", "water", "window"), ["0\n"] * 20)
    for label, lines in {"animal": animal, "sky": sky, **others}.items():
        write(folder / f"Groundtruth/AllLabels/Labels_{label}.txt", "".join(lines))
    return folder
