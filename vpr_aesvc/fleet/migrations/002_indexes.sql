-- Search indexes beside PostgreSQL, which feed themselves from it and can be made again.
CREATE TABLE vpr.indexes (
    map integer NOT NULL REFERENCES vpr.maps,
    address text NOT NULL,                         -- of the server
    collection text NOT NULL,                      -- in it
    horizon xid8 NOT NULL,                         -- it has the places of all transactions below
    PRIMARY KEY (map, address)
);
