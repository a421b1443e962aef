"""How each benchmark set is obtained: the steps, and the folder that results, FOLDER, which ``--data`` takes."""

_REQUEST = """\
1. Ask the author of NetVLAD for the images by e-mail; the address is in https://github.com/Relja/netvlad/issues/42.
   The pages at titech.ac.jp, to which papers refer, are not maintained any more.
2. Unpack into FOLDER the lists of images, which become FOLDER/datasets:
   https://www.di.ens.fr/willow/research/netvlad/data/netvlad_v100_datasets.tar.gz"""

OBTAINING = {
    "pitts30k": f"""{_REQUEST}
3. Unpack into FOLDER the folders 000 to 006 of Pittsburgh 250k, and queries_real.
FOLDER/000/ to 006/                    database
FOLDER/queries_real/                   queries
FOLDER/datasets/pitts30k_test.mat      names and positions""",
    "tokyo247": f"""{_REQUEST}
3. Unpack into FOLDER 03814.tar to 03829.tar, and the queries:
   https://data.ciirc.cvut.cz/public/projects/2015netVLAD/Tokyo247/queries/247query_subset_v2.zip
FOLDER/03814/ to 03829/                database
FOLDER/247query_subset_v2/             queries
FOLDER/datasets/tokyo247.mat           names and positions""",
    "sop": """1. Download and unpack ftp://cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip (3 GB).
2. FOLDER is the folder Stanford_Online_Products that it holds.
FOLDER/Ebay_test.txt                   names and products
FOLDER/bicycle_final/ to toaster_final/""",
    "inshop": """1. On the page above, open the drive, and there In-shop Clothes Retrieval Benchmark. It is for research only.
2. Download Img/img.zip (256 x 256 pixels; not img_highres.zip) and Eval/list_eval_partition.txt.
3. Unpack img.zip into FOLDER, and put the list into FOLDER/Eval.
FOLDER/img/                            images
FOLDER/Eval/list_eval_partition.txt    names, products and split""",
    "pairs": """1. Download a set of VPR-Bench, such as SPEDTEST.zip: https://surfdrive.surf.nl/files/index.php/s/sbZRXzYe3l0v67W
2. Unpack it. FOLDER is the folder that holds ref and query.
FOLDER/ref/                            database
FOLDER/query/                          queries, named like their database images""",
    "utm": """1. Clone the repository above and run its script of a set, such as download_st_lucia.py.
2. FOLDER is the folder that it makes, datasets/st_lucia.
FOLDER/images/test/database/           database, UTM in the names
FOLDER/images/test/queries/            queries""",
    "frames": """1. List your images in a table with the columns path and split, and poses, sequence and index, or category.
FOLDER/frames.csv                      the table; paths are relative to it""",
}
