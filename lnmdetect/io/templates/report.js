'use strict';
(() => {
  const SVG = 'http://www.w3.org/2000/svg';
  const WHEEL_STEP = 40;
  const SWIPE = 40;
  const ZOOM = 3;
  const NO_ERRORS = ['found', 'hit', 'ignored'];
  const of = (source, kind) => (box) => box.source === source && box.kind === kind;
  const KINDS = [
    ['', 'all slices', () => true],
    ['missed', 'missed nodes', of('truth', 'missed')],
    ['background', 'false positives: background', of('found', 'background')],
    ['poorly placed', 'false positives: poorly placed', of('found', 'poorly placed')],
    ['duplicate', 'false positives: duplicate', of('found', 'duplicate')],
    ['wrong class', 'found, wrong class', of('found', 'wrong class')],
    ['hit', 'hits', of('found', 'hit')],
  ];
  const at = (id) => document.getElementById(id);
  const slices = JSON.parse(at('slice-data').textContent);
  let shown = [];
  let place = 0;
  let wheel = 0;

  const matcher = () => KINDS.find(([value]) => value === at('kind').value)[2];
  const severity = (slice, match) =>
    Math.max(...slice.boxes.filter(match).map((box) => box.severity));
  const byScan = (a, b) => a.patient.localeCompare(b.patient) || a.position_mm - b.position_mm;

  function choose() {
    const kind = at('kind').value;
    const match = matcher();
    const patient = at('patient').value;
    const current = shown[place];
    shown = slices.filter((slice) =>
      (patient === '' || slice.patient === patient) && (kind === '' || slice.boxes.some(match)));
    if (at('order').value === 'scan') {
      shown.sort(byScan);
    } else if (kind !== '') {
      shown.sort((a, b) => severity(b, match) - severity(a, match));
    }
    const kept = at('order').value === 'scan' ? shown.indexOf(current) : 0;
    go(Math.max(0, kept));
  }

  function go(target) {
    place = Math.min(Math.max(target, 0), Math.max(shown.length - 1, 0));
    const slice = shown[place];
    at('slider').max = String(Math.max(shown.length, 1));
    at('slider').value = String(place + 1);
    at('slider').disabled = shown.length < 2;
    at('previous').disabled = place === 0;
    at('next').disabled = place >= shown.length - 1;
    if (slice) draw(slice); else clear();
  }

  function clear() {
    at('picture').removeAttribute('src');
    at('overlay').replaceChildren();
    at('boxes').tBodies[0].replaceChildren();
    at('uid').textContent = '';
    at('position').textContent = 'No slice of this kind.';
  }

  function draw(slice) {
    const picture = at('picture');
    const where = `${slice.patient}, ${slice.name}, ${slice.position_mm.toFixed(1)} mm`;
    if (slice.picture) {
      picture.src = slice.picture;
      picture.alt = `CT slice of ${where}`;
    } else {
      picture.removeAttribute('src');
      picture.alt = '';
    }
    at('overlay').setAttribute('viewBox', `0 0 ${slice.width_mm} ${slice.height_mm}`);
    const zoom = at('zoom').checked ? ZOOM : 1;
    const size = Math.max(slice.width_mm, slice.height_mm) / 40 / zoom;
    at('overlay').replaceChildren(...slice.boxes.map((box, k) => outline(box, k + 1, size)));
    magnify(slice, zoom);
    at('boxes').tBodies[0].replaceChildren(...slice.boxes.map((box, k) => row(box, k + 1)));
    at('uid').textContent = slice.uid;
    const sentence = `Slice ${place + 1} of ${shown.length}: ${where}. ${summary(slice)}`;
    at('position').textContent = sentence;
    at('slider').setAttribute('aria-valuetext', `${place + 1} of ${shown.length}, ${where}`);
    toggle();
  }

  function summary(slice) {
    const counts = new Map();
    for (const box of slice.boxes) {
      const name = box.source === 'truth' ? `truth ${box.kind}` : box.kind;
      counts.set(name, (counts.get(name) || 0) + 1);
    }
    return [...counts].map(([name, count]) => `${count} ${name}`).join(', ') + '.';
  }

  function magnify(slice, zoom) {
    const match = at('kind').value === '' ? (box) => !NO_ERRORS.includes(box.kind) : matcher();
    const box = slice.boxes.find(match) || slice.boxes[0];
    // In percent of the stage, which is square and stays so from slice to slice.
    const longer = Math.max(slice.width_mm, slice.height_mm);
    const place = (side, middle) => {
      const length = 100 * zoom * side / longer;
      // The box comes to the middle, unless the picture would end before the stage does.
      const start = Math.min(Math.max(50 - length * middle / side, 100 - length), 0);
      return [length, length < 100 ? (100 - length) / 2 : start].map((percent) => `${percent}%`);
    };
    const style = at('sheet').style;
    [style.width, style.left] = place(slice.width_mm, box.x + box.width / 2);
    [style.height, style.top] = place(slice.height_mm, box.y + box.height / 2);
  }

  function outline(box, number, size) {
    const group = document.createElementNS(SVG, 'g');
    const rect = document.createElementNS(SVG, 'rect');
    const label = document.createElementNS(SVG, 'text');
    for (const name of ['x', 'y', 'width', 'height']) rect.setAttribute(name, box[name]);
    label.setAttribute('x', box.source === 'truth' ? box.x + box.width + size * 0.2 : box.x);
    label.setAttribute('y', box.source === 'truth' ? box.y + box.height : box.y - size * 0.25);
    label.setAttribute('font-size', size);
    label.textContent = String(number);
    group.setAttribute('class', `${box.source} ${box.kind.replace(' ', '-')}`);
    group.append(rect, label);
    return group;
  }

  function row(box, number) {
    const line = document.createElement('tr');
    const kind = box.source === 'truth' ? `truth, ${box.kind}` : box.kind;
    const text = (value) => (value === null ? '' : value.toFixed(2));
    const cells = [String(number), kind, box.category, text(box.score), text(box.p_metastatic), box.size];
    cells.forEach((content, k) => {
      const cell = document.createElement(k === 0 ? 'th' : 'td');
      if (k === 0) cell.scope = 'row';
      if (k >= 3) cell.className = 'number';
      cell.textContent = content;
      line.append(cell);
    });
    return line;
  }

  function toggle() {
    for (const group of at('overlay').children) {
      const truth = group.classList.contains('truth');
      group.setAttribute('visibility', at(truth ? 'show-truth' : 'show-found').checked ? 'visible' : 'hidden');
    }
  }

  function onKey(event) {
    const steps = {
      ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10,
      Home: -shown.length, End: shown.length,
    };
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(place + steps[event.key]);
  }

  function onWheel(event) {
    if (event.ctrlKey || event.deltaY === 0) return;
    const by = Math.sign(event.deltaY);
    if (place + by < 0 || place + by >= shown.length) return;  // the page scrolls on
    event.preventDefault();
    wheel = Math.sign(wheel) === by ? wheel + event.deltaY : event.deltaY;
    if (event.deltaMode !== 0 || Math.abs(wheel) >= WHEEL_STEP) {
      wheel = 0;
      go(place + by);
    }
  }

  let swipeFrom = null;
  function onRelease(event) {
    const by = swipeFrom === null ? 0 : swipeFrom - event.clientX;
    swipeFrom = null;
    if (Math.abs(by) >= SWIPE) go(place + Math.sign(by));
  }

  // Tables that fit need no stop on the way of the Tab key; those that scroll sideways do.
  function setStops() {
    for (const part of document.querySelectorAll('.scrolled')) {
      part.tabIndex = part.scrollWidth > part.clientWidth ? 0 : -1;
    }
  }

  function option(value, text) {
    const item = document.createElement('option');
    item.value = value;
    item.textContent = text;
    return item;
  }

  function fill() {
    for (const [value, text, match] of KINDS) {
      const count = slices.filter((slice) => value === '' || slice.boxes.some(match)).length;
      at('kind').append(option(value, `${text} (${count})`));
    }
    const patients = [...new Set(slices.map((slice) => slice.patient))].sort();
    at('patient').append(option('', `all (${patients.length})`));
    for (const patient of patients) at('patient').append(option(patient, patient));
  }

  fill();
  for (const id of ['kind', 'patient', 'order']) at(id).addEventListener('change', choose);
  for (const id of ['show-truth', 'show-found']) at(id).addEventListener('change', toggle);
  at('zoom').addEventListener('change', () => go(place));
  at('previous').addEventListener('click', () => go(place - 1));
  at('next').addEventListener('click', () => go(place + 1));
  at('slider').addEventListener('input', () => go(Number(at('slider').value) - 1));
  at('stage').addEventListener('keydown', onKey);
  at('stage').addEventListener('wheel', onWheel, { passive: false });
  at('stage').addEventListener('pointerdown', (event) => { swipeFrom = event.clientX; });
  at('stage').addEventListener('pointerup', onRelease);
  window.addEventListener('resize', setStops);
  at('browser').hidden = false;
  choose();
  setStops();
})();
