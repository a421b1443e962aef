"""How each benchmark set is obtained, step by step. FOLDER is what ``--data`` takes. Nothing is downloaded by this project."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Obtaining:
    """The steps, and the folder that results: a path and its meaning on each line."""

    steps: tuple[str, ...]
    tree: tuple[tuple[str, str], ...]


_REQUEST = (
    "Ask the author of NetVLAD for the images by e-mail; the address is in https://github.com/Relja/netvlad/issues/42. "
    "The pages at titech.ac.jp, to which papers refer, are not maintained any more."
)
_LISTS = "https://www.di.ens.fr/willow/research/netvlad/data/netvlad_v100_datasets.tar.gz, which gives FOLDER/datasets."
_TOKYO_QUERIES = "https://data.ciirc.cvut.cz/public/projects/2015netVLAD/Tokyo247/queries/247query_subset_v2.zip"

OBTAINING = {
    "pitts30k": Obtaining(
        (
            _REQUEST,
            "Unpack the folders 000 to 006 of Pittsburgh 250k, and queries_real, into FOLDER.",
            f"Unpack into FOLDER the lists of images, {_LISTS}",
        ),
        (
            ("000/ to 006/", "database"),
            ("queries_real/", "queries"),
            ("datasets/pitts30k_test.mat", "names and positions"),
        ),
    ),
    "tokyo247": Obtaining(
        (
            _REQUEST,
            "Unpack 03814.tar to 03829.tar into FOLDER.",
            f"Unpack into FOLDER the queries, {_TOKYO_QUERIES}",
            f"Unpack into FOLDER the lists of images, {_LISTS}",
        ),
        (
            ("03814/ to 03829/", "database"),
            ("247query_subset_v2/", "queries"),
            ("datasets/tokyo247.mat", "names and positions"),
        ),
    ),
    "sop": Obtaining(
        (
            "Download ftp://cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip (3 GB).",
            "Unpack it. FOLDER is the folder Stanford_Online_Products that it holds.",
        ),
        (("Ebay_test.txt", "names and products"), ("bicycle_final/ to toaster_final/", "images")),
    ),
    "inshop": Obtaining(
        (
            "On the page of the set, open the drive, and there In-shop Clothes Retrieval Benchmark. It is for research only.",
            "Download Img/img.zip (256 x 256 pixels; not img_highres.zip) and Eval/list_eval_partition.txt.",
            "Unpack img.zip into FOLDER, and put the list into FOLDER/Eval.",
        ),
        (("img/", "images"), ("Eval/list_eval_partition.txt", "names, products and split")),
    ),
    "pairs": Obtaining(
        (
            "Download a set of VPR-Bench, such as SPEDTEST.zip, from https://surfdrive.surf.nl/files/index.php/s/sbZRXzYe3l0v67W",
            "Unpack it. FOLDER is the folder that holds ref and query.",
        ),
        (("ref/", "database"), ("query/", "queries, named like their database images")),
    ),
    "utm": Obtaining(
        (
            "Clone https://github.com/gmberton/VPR-datasets-downloader and run its script for a set, such as download_st_lucia.py.",
            "FOLDER is the folder that it makes, datasets/st_lucia.",
        ),
        (("images/test/database/", "database, UTM in the names"), ("images/test/queries/", "queries")),
    ),
    "frames": Obtaining(
        ("List your images in a table with the columns path and split, and poses, sequence and index, or category.",),
        (("frames.csv", "the table; paths are relative to it"),),
    ),
}
