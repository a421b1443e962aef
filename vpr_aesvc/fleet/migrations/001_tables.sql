-- Tables of a fleet's maps. A place is never updated: its removal is a row of tombstones, a better pose is a row of poses.
CREATE EXTENSION IF NOT EXISTS vector;  -- pgvector: the type halfvec

CREATE TABLE vpr.maps (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    family text NOT NULL,                          -- of models; maps of one name and different families lie beside each other
    meta jsonb NOT NULL,                           -- as in a .vprmap
    UNIQUE (name, family)
);

CREATE TABLE vpr.traverses (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map integer NOT NULL REFERENCES vpr.maps,
    robot text NOT NULL,
    source text NOT NULL,                          -- id of the robot's map, or of this one for places that were added to it directly
    local text NOT NULL,                           -- the traverse's name in it
    name text NOT NULL,                            -- in this map
    frame text NOT NULL,                           -- of the poses: meters compare within one frame only
    started double precision,                      -- seconds since 1970
    notes text,
    cameras jsonb NOT NULL DEFAULT '{}',           -- by name, as in a .vprmap
    UNIQUE (map, robot, source, local),
    UNIQUE (map, name)
);

-- One row for each transaction and traverse. A reader that has seen all transactions below the xmin of its snapshot reads on from this xmin:
-- a transaction that commits late has a higher xid, so it is never missed.
CREATE TABLE vpr.changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map integer NOT NULL,
    traverse integer NOT NULL,
    count integer NOT NULL,                        -- places added, negative: removed
    first bigint,                                  -- ids of the places added, and maybe of others between
    last bigint,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX ON vpr.changes (map, xid);
CREATE INDEX ON vpr.changes (traverse);

CREATE SEQUENCE vpr.place_ids;
CREATE TABLE vpr.places (                          -- fixed lengths first and no NULL where it is not needed: twelve of 256 numbers fill a page
    id bigint NOT NULL,                            -- ascends in the order of adding
    stamp double precision,
    x double precision, y double precision, z double precision,
    qx double precision, qy double precision, qz double precision, qw double precision,
    map integer NOT NULL,
    traverse integer NOT NULL,
    local integer NOT NULL,                        -- id in the robot's map; with the traverse's robot and source it makes the UUID of the place
    descriptor halfvec NOT NULL,                   -- unit norm
    label text NOT NULL,
    path text NOT NULL,                            -- '' without one
    extra text NOT NULL                            -- JSON object
) PARTITION BY LIST (map);
CREATE INDEX ON vpr.places (id) WITH (fillfactor = 100);  -- places are only appended
CREATE INDEX ON vpr.places USING spgist (point(x, y)) WITH (fillfactor = 100);  -- as fast as GiST here, and 10 bytes a place smaller

CREATE TABLE vpr.tombstones (
    place bigint PRIMARY KEY,
    map integer NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX ON vpr.tombstones (map, xid);

CREATE TABLE vpr.poses (                           -- the last revision of a place counts
    place bigint NOT NULL,
    revision bigint GENERATED ALWAYS AS IDENTITY,
    map integer NOT NULL,
    robot text NOT NULL,                           -- who revised it
    x double precision NOT NULL, y double precision NOT NULL, z double precision NOT NULL,
    qx double precision NOT NULL, qy double precision NOT NULL, qz double precision NOT NULL, qw double precision NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (place, revision)
);
CREATE INDEX ON vpr.poses (map, xid);
CREATE INDEX ON vpr.poses USING gist (point(x, y));

CREATE TABLE vpr.thumbnails (place bigint PRIMARY KEY, jpeg bytea NOT NULL);
CREATE TABLE vpr.patches (place bigint PRIMARY KEY, patches bytea NOT NULL);
CREATE TABLE vpr.learned (                         -- parameters that recognition fitted to a map
    map integer NOT NULL,
    name text NOT NULL,
    value text NOT NULL,                           -- JSON
    PRIMARY KEY (map, name)
);

-- Each map has a partition of its own: its indexes hold no other map's places, and it can move to another disk or server.
CREATE FUNCTION vpr.create_map(map_name text, map_family text, map_meta jsonb) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    new_id integer;
BEGIN
    INSERT INTO vpr.maps (name, family, meta) VALUES (map_name, map_family, map_meta) RETURNING id INTO new_id;
    EXECUTE format('CREATE TABLE vpr.places_%s PARTITION OF vpr.places FOR VALUES IN (%s)', new_id, new_id);
    EXECUTE format('CREATE UNIQUE INDEX ON vpr.places_%s (traverse, local)', new_id);
    RETURN new_id;
END
$$;
