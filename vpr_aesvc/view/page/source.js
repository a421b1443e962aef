// Where the content comes from: the server, or the page itself if it is one file.

class Server {
  async scene() {
    return (await this.get("scene")).json();
  }

  /** The runs, if they have other than `known` frames together; else null. */
  async grownRuns(known) {
    const answer = await this.get(`runs/${known}`);
    return answer.status === 200 ? answer.json() : null;
  }

  async frame(run, at) {
    return (await this.get(`frame/${run}/${at}`)).json();
  }

  /** Cosines of a frame and all places; null if they are not known. */
  async similarities(run, at) {
    const answer = await fetch(`frame/${run}/${at}/cosines`);
    return answer.status === 200 ? new Float32Array(await answer.arrayBuffer()) : null;
  }

  /** Of two sides of the distance matrix: `counts` and `of`, how many places of each are shown and are there, and `values`, int16. Null without descriptors. */
  async cosines(rows, columns) {
    const answer = await fetch(`matrix/${rows}/${columns}`);
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(await answer.text());
    const bytes = await answer.arrayBuffer();
    const head = [...new Uint32Array(bytes, 0, 4)];
    return { counts: head.slice(0, 2), of: head.slice(2), values: new Int16Array(bytes, 16) };
  }

  framePicture(run, at) {
    return `frame/${run}/${at}.jpg`;
  }

  placePicture(id) {
    return `place/${id}.jpg`;
  }

  async get(path) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }
}

class OneFile {
  constructor(content) {
    this.content = content;
  }

  async scene() {
    return this.content;
  }

  async frame(_run, at) {
    return this.content.details[at];
  }

  async similarities(_run, at) {
    const coded = this.content.similarities[at];
    return coded ? Float32Array.from(atob(coded), (one) => one.charCodeAt(0) / 127.5 - 1) : null;
  }

  framePicture(_run, at) {
    return asPicture(this.content.frames[at]);
  }

  placePicture(id) {
    return asPicture(this.content.places[id]);
  }
}

function asPicture(coded) {
  return coded ? `data:image/jpeg;base64,${coded}` : "";
}

export function openSource() {
  const own = document.getElementById("content");
  return own ? new OneFile(JSON.parse(own.textContent)) : new Server();
}
