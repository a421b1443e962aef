"""The tables of a ``.vprmap`` file, which is an SQLite database.

Thumbnails and patches have their own tables: loading the descriptors of a large map does not read them. SQLite does not detect bits that a worn
SD card flips, so every row carries a CRC-32 over its content and its id. The table ``tally`` counts the rows of ``places`` and sums
their checksums, because a missing row has no checksum of its own.
"""

APPLICATION_ID = 0x5650524D  # "VPRM"
SCHEMA_VERSION = 2

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE traverses (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    started REAL,                                             -- seconds since 1970
    robot TEXT, notes TEXT,
    checksum INTEGER NOT NULL                                 -- CRC-32 of the columns above
);
CREATE TABLE places (
    id INTEGER PRIMARY KEY AUTOINCREMENT,                     -- never reused: readers look for larger ids only
    traverse INTEGER NOT NULL REFERENCES traverses (id),
    stamp REAL,                                               -- seconds
    x REAL, y REAL, z REAL,                                   -- meters, map frame
    qx REAL, qy REAL, qz REAL, qw REAL,
    checksum INTEGER NOT NULL,                                -- CRC-32 of the columns above and the descriptor
    label TEXT NOT NULL,
    path TEXT,
    extra TEXT NOT NULL DEFAULT '{}',                         -- JSON object
    thumbnail INTEGER,                                        -- CRC-32 of the thumbnail, NULL without one
    words_checksum INTEGER NOT NULL,                          -- CRC-32 of id, label, path, extra and thumbnail
    descriptor BLOB NOT NULL                                  -- float16 [d_max], little-endian, unit norm
);
CREATE TABLE thumbnails (place INTEGER PRIMARY KEY REFERENCES places (id) ON DELETE CASCADE, jpeg BLOB NOT NULL);
CREATE TABLE patches (                                        -- older maps do not have it
    place INTEGER PRIMARY KEY REFERENCES places (id) ON DELETE CASCADE,
    patches BLOB NOT NULL,                                    -- int8 [h * w, s], see meta.patches
    checksum INTEGER NOT NULL                                 -- CRC-32 of place and patches
);
CREATE TABLE learned (                                        -- parameters that recognition fitted to the map
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,                                      -- JSON
    checksum INTEGER NOT NULL                                 -- CRC-32 of name and value
);
CREATE TABLE tally (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    places INTEGER NOT NULL,                                  -- number of places
    checksums INTEGER NOT NULL,                               -- sum of checksum and words_checksum of all places
    changes INTEGER NOT NULL,                                 -- transactions that removed or altered places
    checksum INTEGER NOT NULL,                                -- CRC-32 of the three columns above
    map TEXT NOT NULL                                         -- map id, written by every transaction, hence in every WAL
);
"""

CAMERAS = """
CREATE TABLE IF NOT EXISTS cameras (                          -- older maps do not have it
    traverse INTEGER NOT NULL REFERENCES traverses (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                                       -- of the camera, empty if there is only one
    value TEXT NOT NULL,                                      -- JSON object: intrinsics, and the size of the images
    checksum INTEGER NOT NULL,                                -- CRC-32 of the columns above
    PRIMARY KEY (traverse, name)
);
"""
