"""The data sets in the box: their names and options. What reads them is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from dckt_core import DatasetSpec, hookimpl

Half = Annotated[float, Ge(0), Le(0.5)]
Quarter = Annotated[float, Ge(0), Le(0.25)]
Seed = Annotated[int, Ge(0)]

SAMPLE_SETTINGS = {
    "encoder": {"name": "vgg19", "weights": "none", "size": 48},
    "network": {"media_width": 512, "common_width": 512},
    "pretrain": {"source_updates": 200, "target_updates": 150},
    "transfer": {"iterations": 5, "updates": 30},
}
"""Random convolutions tell these simple shapes apart, so no weights are needed, and a narrow network suffices."""


@dataclass(frozen=True)
class ImageFolderCSVOptions:
    """What a table may do its own way."""

    images: Annotated[str, "folder that the image column starts from; . for that of the table"] = "images"
    image_column: Annotated[str, "column with an image's path"] = "image"
    text_column: Annotated[str, "column with the text"] = "text"
    label_column: Annotated[str, "column with the class; empty for a table that has none"] = "label"
    split_column: Annotated[str, "column with train, val or test"] = "split"
    separator: Annotated[str, "character between cells, or the word tab"] = ","

    def columns(self) -> dict[str, str]:
        """Fields of a pair, and what the table calls them."""
        named = (self.image_column, self.text_column, self.label_column, self.split_column)
        columns = dict(zip(("image", "text", "label", "split"), named, strict=True))
        return columns if self.label_column else {field: columns[field] for field in ("image", "text", "split")}


@dataclass(frozen=True)
class WikipediaOptions:
    """How the validation split, which the lists do not have, is drawn."""

    val_of: Annotated[
        Literal["test", "train"],
        "list that validation pairs are drawn from; a third of the test list leaves 2,173, 231 and 462, the sizes that"
        " Deep Cross-media Knowledge Transfer reports",
    ] = "test"
    val_fraction: Annotated[Half, "share of that list, class by class"] = 1 / 3
    split_seed: Annotated[Seed, "draws other validation pairs"] = 0


@dataclass(frozen=True)
class PascalSentencesOptions:
    """How the splits, which the data set does not have, are drawn."""

    val_fraction: Annotated[Half, "share of each class for validation; the literature has 100 of 1,000"] = 0.1
    test_fraction: Annotated[Half, "share of each class for the test; the literature has 100 of 1,000"] = 0.1
    split_seed: Annotated[Seed, "draws other splits"] = 0


@dataclass(frozen=True)
class NUSWide10kOptions:
    """How the subset and its splits are drawn."""

    per_class: Annotated[Annotated[int, Ge(1)], "images of each class; fewer where there are not as many"] = 1000
    present: Annotated[bool, "draw among the images that are there, not among all that are listed"] = False
    val_fraction: Annotated[Quarter, "share of each class for validation; the literature has 1,000 of 10,000"] = 0.1
    test_fraction: Annotated[Quarter, "share of each class for the test; the literature has 1,000 of 10,000"] = 0.1
    split_seed: Annotated[Seed, "draws another subset and other splits"] = 0


@dataclass(frozen=True)
class XMediaOptions:
    """Where the lists' paths start, and how the validation split, which the lists do not have, is drawn."""

    images: Annotated[str, "folder that the paths of images start from; . for the data set's"] = "image"
    texts: Annotated[str, "folder that the paths of texts start from; . for the data set's"] = "text"
    val_of: Annotated[
        Literal["test", "train"],
        "lists that validation pairs are drawn from; half of XMediaNet's test lists leaves 32,000, 4,000 and 4,000,"
        " the sizes that the literature reports",
    ] = "test"
    val_fraction: Annotated[Half, "share of these lists, class by class"] = 0.5
    split_seed: Annotated[Seed, "draws other validation pairs"] = 0


AllFor = Annotated[Literal["train", "val", "test"] | None, "what all is for that says nothing of it"]
Folder = Annotated[str, "folder that pictures' paths start from; empty to look for it, . for the data set's"]
Column = Annotated[str, "name of the column; empty where its name tells"]
Separator = Annotated[str, "character between cells, or the word tab; empty to find it from the header"]


@dataclass(frozen=True)
class TableOptions:
    """What a table's columns are called, and where its pictures lie."""

    image_column: Column = ""
    text_column: Column = ""
    label_column: Column = ""
    split_column: Column = ""
    id_column: Column = ""
    separator: Separator = ""
    images: Folder = ""
    split: AllFor = None


@dataclass(frozen=True)
class OpenClipOptions:
    """What open_clip's own flags say: --csv-img-key, --csv-caption-key, --csv-separator."""

    image_column: Annotated[str, "column with a picture's path"] = "filepath"
    text_column: Annotated[str, "column with its text"] = "title"
    separator: Annotated[str, "character between cells, or the word tab"] = "tab"
    images: Folder = ""
    split: AllFor = None


@dataclass(frozen=True)
class CaptionListOptions:
    """Where the pictures lie that a list of captions names."""

    images: Folder = ""
    split: AllFor = None


@dataclass(frozen=True)
class TextFilesOptions:
    """What folders say."""

    classes: Annotated[bool, "whether a picture's folder is called as its class"] = False
    split: AllFor = None


@dataclass(frozen=True)
class ClassFoldersOptions:
    """What the pictures' text is."""

    text: Annotated[str, "text of each picture, with {} for the class in words; empty: pictures alone"] = ""
    split: AllFor = None


@dataclass(frozen=True)
class HFImageFolderOptions:
    """What the tables' columns are called beside file_name."""

    text_column: Column = ""
    label_column: Column = ""
    split_column: Column = ""
    id_column: Column = ""
    split: AllFor = None


@dataclass(frozen=True)
class HFDatasetOptions:
    """What the columns are called, and where pictures lie that are no part of it."""

    image_column: Column = ""
    text_column: Column = ""
    label_column: Column = ""
    split_column: Column = ""
    id_column: Column = ""
    images: Folder = ""
    split: AllFor = None


@dataclass(frozen=True)
class WebDatasetOptions:
    """What fields of a sample's JSON hold, where no member of its own does."""

    text_column: Annotated[str, "field with the text; empty where its name tells"] = ""
    label_column: Annotated[str, "field with the class; empty where its name tells"] = ""
    split_column: Annotated[str, "field with the split; empty where its name tells"] = ""
    split: AllFor = None


@dataclass(frozen=True)
class FeaturesOptions:
    """What a file of features leaves open."""

    split: Annotated[
        Literal["train", "val", "test"] | None, "what all rows are for, where the file has no array 'split'"
    ] = None


FEATURES_SETTINGS: Mapping[str, Any] = {
    "encoder": {"name": "precomputed-image"},
    "text_encoder": {"name": "precomputed-text"},
}


@hookimpl
def dckt_datasets() -> Iterable[DatasetSpec[Any]]:
    return [
        DatasetSpec(
            name="jsonl",
            summary="a folder with pairs.jsonl: one image-text pair a line, images beside it",
            load="dckt_plugins.datasets.jsonl:load",
            detect="dckt_plugins.datasets.jsonl:detect",
            records="dckt_plugins.datasets.jsonl:records",
            marks=("pairs.jsonl",),
            api="1.0",
        ),
        DatasetSpec(
            name="image-folder-csv",
            summary="a folder with pairs.csv (image, text, label, split) and images/",
            options=ImageFolderCSVOptions,
            load="dckt_plugins.datasets.image_folder_csv:load",
            detect="dckt_plugins.datasets.image_folder_csv:detect",
            records="dckt_plugins.datasets.image_folder_csv:records",
            marks=("pairs.csv", "images"),
            api="1.0",
        ),
        DatasetSpec(
            name="table",
            summary="a table with a pair a row: .csv, .tsv, .jsonl, .parquet, columns by name",
            options=TableOptions,
            load="dckt_plugins.datasets.table:load",
            detect="dckt_plugins.datasets.table:detect",
            records="dckt_plugins.datasets.table:records",
            marks=("captions.csv|captions.tsv|captions.jsonl|captions.parquet",),
            api="1.0",
        ),
        DatasetSpec(
            name="text-files",
            summary="pictures with a .txt of the same name beside each",
            options=TextFilesOptions,
            load="dckt_plugins.datasets.text_files:load",
            detect="dckt_plugins.datasets.text_files:detect",
            records="dckt_plugins.datasets.text_files:records",
            marks=(),
            api="1.0",
        ),
        DatasetSpec(
            name="class-folders",
            summary="pictures in folders that are called as their classes",
            options=ClassFoldersOptions,
            load="dckt_plugins.datasets.class_folders:load",
            detect="dckt_plugins.datasets.class_folders:detect",
            records="dckt_plugins.datasets.class_folders:records",
            marks=(),
            api="1.0",
        ),
        DatasetSpec(
            name="karpathy",
            summary="Karpathy's JSON of Flickr8k, Flickr30k and COCO: captions and splits",
            options=CaptionListOptions,
            load="dckt_plugins.datasets.karpathy:load",
            detect="dckt_plugins.datasets.karpathy:detect",
            records="dckt_plugins.datasets.karpathy:records",
            marks=("dataset_coco.json|dataset_flickr30k.json|dataset_flickr8k.json|dataset.json",),
            api="1.0",
        ),
        DatasetSpec(
            name="coco-captions",
            summary="COCO's captions: annotations/captions_train2017.json and train2017/",
            options=CaptionListOptions,
            load="dckt_plugins.datasets.coco_captions:load",
            detect="dckt_plugins.datasets.coco_captions:detect",
            records="dckt_plugins.datasets.coco_captions:records",
            marks=("annotations|captions_*.json",),
            api="1.0",
        ),
        DatasetSpec(
            name="flickr-token",
            summary="Flickr30k's and Flickr8k's captions as published: NAME.jpg#0, a tab, a caption",
            options=CaptionListOptions,
            load="dckt_plugins.datasets.flickr_token:load",
            detect="dckt_plugins.datasets.flickr_token:detect",
            records="dckt_plugins.datasets.flickr_token:records",
            marks=("results_20130124.token|Flickr8k.token.txt|*.token",),
            api="1.0",
        ),
        DatasetSpec(
            name="kaggle-captions",
            summary="captions.txt with image,caption in its first line, and Images/, as on Kaggle",
            options=CaptionListOptions,
            load="dckt_plugins.datasets.table:load_kaggle",
            detect="dckt_plugins.datasets.table:detect_kaggle",
            records="dckt_plugins.datasets.table:kaggle_records",
            marks=("captions.txt", "Images"),
            api="1.0",
        ),
        DatasetSpec(
            name="open-clip-csv",
            summary="open_clip's table: filepath and title, with a tab between",
            options=OpenClipOptions,
            load="dckt_plugins.datasets.table:load_open_clip",
            detect="dckt_plugins.datasets.table:detect_open_clip",
            records="dckt_plugins.datasets.table:open_clip_records",
            marks=(),
            api="1.0",
        ),
        DatasetSpec(
            name="hf-imagefolder",
            summary="Hugging Face's folder of images with metadata.jsonl",
            options=HFImageFolderOptions,
            load="dckt_plugins.datasets.hf_imagefolder:load",
            detect="dckt_plugins.datasets.hf_imagefolder:detect",
            records="dckt_plugins.datasets.hf_imagefolder:records",
            marks=("metadata.jsonl|metadata.csv|metadata.parquet",),
            api="1.0",
        ),
        DatasetSpec(
            name="hf-dataset",
            summary="what save_to_disk of Hugging Face's datasets wrote",
            options=HFDatasetOptions,
            load="dckt_plugins.datasets.hf_dataset:load",
            detect="dckt_plugins.datasets.hf_dataset:detect",
            records="dckt_plugins.datasets.hf_dataset:records",
            marks=("dataset_info.json", "state.json"),
            api="1.0",
        ),
        DatasetSpec(
            name="webdataset",
            summary="tar archives of WebDataset and img2dataset: KEY.jpg, KEY.txt, KEY.json",
            options=WebDatasetOptions,
            load="dckt_plugins.datasets.webdataset:load",
            detect="dckt_plugins.datasets.webdataset:detect",
            records="dckt_plugins.datasets.webdataset:records",
            marks=("*.tar",),
            api="1.0",
        ),
        DatasetSpec(
            name="features",
            summary="a file of features of images and texts with their labels and splits: .npz, .parquet, ...",
            options=FeaturesOptions,
            load="dckt_plugins.datasets.features:load",
            detect="dckt_plugins.datasets.features:detect",
            settings=FEATURES_SETTINGS,
            pictures=False,
            api="1.0",
        ),
        DatasetSpec(
            name="wikipedia",
            summary="Wikipedia featured articles (Rasiwasia et al. 2010), as published",
            options=WikipediaOptions,
            load="dckt_plugins.datasets.wikipedia:load",
            detect="dckt_plugins.datasets.wikipedia:detect",
            marks=("trainset_txt_img_cat.list", "testset_txt_img_cat.list"),
            api="1.0",
        ),
        DatasetSpec(
            name="pascal-sentences",
            summary="Pascal Sentences (Rashtchian et al. 2010): dataset/CLASS/ and sentence/CLASS/",
            options=PascalSentencesOptions,
            load="dckt_plugins.datasets.pascal_sentences:load",
            detect="dckt_plugins.datasets.pascal_sentences:detect",
            marks=("dataset", "sentence"),
            api="1.0",
        ),
        DatasetSpec(
            name="nus-wide-10k",
            summary="ten classes of NUS-WIDE, 1,000 images each with their tags, drawn from the data set as published",
            options=NUSWide10kOptions,
            load="dckt_plugins.datasets.nus_wide_10k:load",
            detect="dckt_plugins.datasets.nus_wide_10k:detect",
            marks=("ImageList", "NUS_WID_Tags"),
            api="1.0",
        ),
        DatasetSpec(
            name="xmedia",
            summary="PKU XMedia and XMediaNet, images and texts: lists of 'path label'",
            options=XMediaOptions,
            load="dckt_plugins.datasets.xmedia:load",
            detect="dckt_plugins.datasets.xmedia:detect",
            marks=("list",),
            api="1.0",
        ),
        DatasetSpec(
            name="sample-source",
            summary="36 printed letters and digits in many fonts, with sentences; made on the spot",
            load="dckt_plugins.datasets.sample:load_source",
            api="1.0",
        ),
        DatasetSpec(
            name="sample-target",
            summary="10 handwritten digits, scanned, with sentences in other words; made on the spot",
            load="dckt_plugins.datasets.sample:load_target",
            settings=SAMPLE_SETTINGS,
            api="1.0",
        ),
    ]
