'use strict';
// The steps of a lab as they are taken, and the table of how each went.

const say = (text) => process.stderr.write(`${text}\n`);
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

// Takes [title, async function of the lab] in order until one fails; a row for each that was begun.
async function takeSteps(steps, lab) {
  const rows = [];
  for (const [index, [title, step]] of steps.entries()) {
    const label = `[${index + 1}/${steps.length}] ${title}`;
    say(`${label} ...`);
    const start = performance.now();
    let failure = null;
    let outcome = '';
    try {
      outcome = await step(lab);
      await lab.takeWindowInto(rows, { index: index + 1, title, ms: performance.now() - start, reached: true });
    } catch (error) {
      failure = error;
      await lab.takeWindowInto(rows, { index: index + 1, title, ms: performance.now() - start, reached: false }).catch(() => {});
    }
    say(failure ? `${label}: FAILED: ${failure.message}` : `      ${outcome} (${seconds(performance.now() - start)})`);
    if (!failure) continue;
    for (const trouble of await lab.cluster.troubles()) say(`      ${trouble}`);
    break;
  }
  return rows;
}

function table(rows) {
  const lines = [['', 'step', 'took', 'requests', 'failed', 'slowest'], ...rows.map((row) => [
    `${row.index}`, row.reached ? row.title : `${row.title} (FAILED)`, seconds(row.ms), `${row.requests}`, `${row.failed}`,
    row.requests ? `${Math.round(row.slowestMs)} ms` : '-'])];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) => line.map((cell, column) => (column === 1 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ')).join('\n');
}

module.exports = { say, seconds, table, takeSteps };
