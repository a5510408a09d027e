"""Named datasets: who made them, under which license, where they are had, and how they are read.

What a name says is made here from the files that the authors publish; nothing of those files is
part of the program. Experiments of the same names hold their settings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiledseg.config.messages import nearest
from tiledseg.data.published.breastdm import find_malignant
from tiledseg.data.published.format import PublishedImage
from tiledseg.data.published.neurips import find_smears
from tiledseg.data.published.segpc import find_cells, find_fields
from tiledseg.data.published.sipakmed import find_metaplastic
from tiledseg.errors import DatasetError


@dataclass(frozen=True)
class Archive:
    """A file that may be fetched by anybody.

    Attributes:
        url: Where it is had.
        name: Its name on disk.
        sha256: Its checksum, 64 hexadecimal digits.
        root: The folder that it holds at its top.
    """

    url: str
    name: str
    sha256: str
    root: str


@dataclass(frozen=True)
class Publication:
    """What authors have published.

    Attributes:
        name: Short; also the folder for its files.
        citation: Whom to cite.
        license: What its users may do with it.
        page: Where it is described, and had by hand.
        files: What is to be had there, in words.
        archive: What is fetched by URL; None where the page asks for an account or a click.
    """

    name: str
    citation: str
    license: str
    page: str
    files: str
    archive: Archive | None = None


@dataclass(frozen=True)
class NamedDataset:
    """A dataset that is made from a publication.

    Attributes:
        name: Its name, and that of its experiment.
        shows: What its images show.
        publication: What it is made from.
        find: Lists the images of an unpacked publication.
    """

    name: str
    shows: str
    publication: Publication
    find: Callable[[Path], list[PublishedImage]]


NEURIPS = Publication(
    name="NeurIPS-2022-CellSeg",
    citation="Ma et al., NeurIPS 2022 Cell Segmentation Competition Dataset, Zenodo, 2024, "
    "doi:10.5281/zenodo.10719375; Ma et al., The multimodality cell segmentation challenge, "
    "Nature Methods, 2024, doi:10.1038/s41592-024-02233-6",
    license="CC BY-NC-ND 4.0: not for commercial use; share no version that was changed",
    page="https://zenodo.org/records/10719375",
    files="Training-labeled.zip",
    archive=Archive(
        url="https://zenodo.org/records/10719375/files/Training-labeled.zip?download=1",
        name="Training-labeled.zip",
        sha256="b2383929eb8e99b2716fa0d4e2f6e03983e626a57cf00fe85175869c54aa3592",
        root="Training-labeled",
    ),
)
SEGPC = Publication(
    name="SegPC-2021",
    citation="Gupta, Gupta, Gehlot, Goswami, SegPC-2021: Segmentation of Multiple Myeloma Plasma "
    "Cells in Microscopic Images, IEEE Dataport, 2021, doi:10.21227/7np1-2q42",
    license="CC BY-NC-SA 4.0: not for commercial use; share under the same terms",
    page="https://www.kaggle.com/datasets/sbilab/segpc2021dataset",
    files="the whole dataset (TCIA_SegPC_dataset)",
)
SIPAKMED = Publication(
    name="SIPaKMeD",
    citation="Plissiti, Dimitrakopoulos, Sfikas, Nikou, Krikoni, Charchanti, SIPaKMeD: a new "
    "dataset for feature and image based classification of normal and pathological cervical "
    "cells in Pap smear images, ICIP 2018",
    license="for experiments, with a citation",
    page="https://www.cs.uoi.gr/~marina/sipakmed.html",
    files="the images of metaplastic cells (im_Metaplastic)",
)
BREASTDM = Publication(
    name="BreastDM",
    citation="Zhao et al., BreastDM: a DCE-MRI dataset for breast tumor image segmentation and "
    "classification, Computers in Biology and Medicine, 2023, "
    "doi:10.1016/j.compbiomed.2023.107255",
    license="for research, with a citation",
    page="https://github.com/smallboy-code/Breast-cancer-dataset",
    files="BreaDM.zip, by the link there",
)

CATALOG = (
    NamedDataset("Tiled-Cell", "white cells in stained blood smears", NEURIPS, find_smears),
    NamedDataset("Tiled-MultipleMyeloma", "plasma cells in bone marrow", SEGPC, find_fields),
    NamedDataset("MultipleMyeloma", "single plasma cells, 256 x 256", SEGPC, find_cells),
    NamedDataset("Tiled-Cervical-Cancer", "metaplastic cells, Pap", SIPAKMED, find_metaplastic),
    NamedDataset("Malignant-BreastDM", "tumours in breast MRI", BREASTDM, find_malignant),
)


def find_named_dataset(name: str) -> NamedDataset:
    """The dataset of that name.

    Raises:
        DatasetError: There is none; the message offers the nearest names.
    """
    by_name = {dataset.name: dataset for dataset in CATALOG}
    if name in by_name:
        return by_name[name]
    near = nearest(name, [*by_name], most=3) or [*by_name]
    raise DatasetError(f"no dataset is named {name!r}; nearest names: {', '.join(near)}")


def publication_folder(dataset: NamedDataset, root: Path) -> Path:
    """The folder for the files that a publication's page gives, in the data root."""
    return root / "published" / dataset.publication.name
