// What the page shows of a chain that behaves, and that it follows it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { FakeNode } from './lib/fake-node.mjs';
import { open, plain, stage, untilBlock, words } from './lib/stage.mjs';

let here;

before(async () => { here = await stage(await new FakeNode().start()); });
after(() => here.close());

const honest = (_method, _params, answer) => answer;

/** Opens the page at a block, and has `check` look at it; nothing may be wrong in the browser. */
async function at(block, check, { hash = '', bend = honest, ...how } = {}) {
  here.node.bend = bend;
  here.node.head(block);
  const { page, faults } = await open(here.context, here.url + hash, how);
  await untilBlock(page, block);
  await check(page);
  assert.deepEqual(faults, []);
  await page.close();
}

const rows = async (page, id) =>
  (await page.locator(`#${id} table`).first().locator('tbody tr').allInnerTexts()).map(plain);

test('a run is shown with what it asks of a machine', () => at(119, async (page) => {
  const card = await words(page, '#runs .card');
  for (const part of [
    'Subnet 1: tiny', '250 of 256 seats are free', 'cairn subnet register --netuid 1 --key', '918,656', '40,960 tokens in 20 steps', '16 blocks, about 32 s',
    '23 blocks, about 46 s', '90.9 kB', '0.00320701 CRN', 'at least 1.00 CRN', 'at least 10.00 CRN', '50 %',
  ]) assert.ok(card.includes(part), `${part}: ${card}`);
}));

test('a round is shown with its phase, the time left and who did what', () => at(118, async (page) => {
  const round = await words(page, '#round');
  for (const part of [
    'Round 4, now', 'attest: validators attest', '21 of 23', '2 blocks, about 4 s', '2 of 2 committed, 2 revealed',
    '0 of 2 attested, 0 % of stake',
  ]) assert.ok(round.includes(part), `${part}: ${round}`);
}));

test('the page follows the chain, says what matters, and leaves focus and place alone', () => at(118, async (page) => {
  await page.evaluate(() => {
    window.shifts = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shifts += entry.value;
    }).observe({ type: 'layout-shift' });
  });
  const link = page.locator('#members a', { hasText: 'uid 2' });
  await link.focus();
  const place = await page.evaluate(() => scrollY);
  here.node.head(119);
  await untilBlock(page, 119);
  assert.match(await words(page, '#round'), /2 of 2 attested, 100 % of stake/);
  assert.equal(await link.evaluate((element) => element === document.activeElement), true);
  assert.equal(await page.evaluate(() => scrollY), place);
  const shifts = await page.evaluate(() => new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(window.shifts)));
  }));
  assert.ok(shifts < 0.01, `what is seen moved by ${shifts}`);
  assert.equal(await words(page, '#live'), 'Subnet 1, round 4: attest.');
  here.node.head(121);
  await untilBlock(page, 121);
  assert.equal(await words(page, '#live'), 'Subnet 1, round 5: train.');
  assert.match(await words(page, '#round'), /Round 5, now/);
}));

test('a round that is settled is asked for once', () => at(119, async (page) => {
  const isFirst = ([method, [, round]]) => method === 'training_settled' && round === 0;
  const count = () => here.node.asked.filter(isFirst).length;
  const asked = count();
  here.node.head(121);
  await untilBlock(page, 121);
  assert.equal(count(), asked);
}));

test('members are shown with what they have and earn', () => at(119, async (page) => {
  const members = await rows(page, 'members');
  assert.equal(members.length, 6);
  assert.match(members[0], /^uid 0\s+miner\s+5FhFY8…9im1\s+0\.00\s+10\.00\s+46\.3 %\s+0 %\s+0\.4351\s+1\.7273/);
  assert.match(members[3], /idle miner: its bond is 0\.00 of at least 1\.00 CRN/);
  assert.match(members[4], /^uid 4\s+validator/);
}));

test('a member is reached by keyboard and shown with the reasons, and one can go back', () => at(166, async (page) => {
  await page.locator('#members a', { hasText: 'uid 3' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('#member table').nth(1).waitFor();
  assert.equal(new URL(page.url()).hash, '#net=1&uid=3');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'member-heading');
  const member = await words(page, '#member');
  for (const part of [
    '5GmerGeqrgwdpetctDv7ZuwsaGaXfRMmk1dxQ3MEqfkys6CB', 'failed: bond lost', 'In 2 rounds its audit found other work',
    'Validators gave it no incentive',
  ]) assert.ok(member.includes(part), `${part}: ${member}`);
  await page.goBack();
  await page.locator('#member').waitFor({ state: 'detached' });
  assert.equal(new URL(page.url()).hash, '');
}));

test('a validator is shown with the rounds in which it attested', () => at(121, async (page) => {
  const table = page.locator('#member table').first();
  assert.match(await table.innerText(), /Attested/);
  assert.match((await table.locator('tbody tr').allInnerTexts())[0], /^4\s+yes\s+101\.35\s+yes$/);
}, { hash: '#net=1&uid=4' }));

test('the ledger adds up to the pebble, by what the page adds itself', () => at(119, async (page) => {
  assert.match(await words(page, '#verdict'), /It adds up, to the pebble: 599,896\.155122362 CRN/);
  assert.deepEqual((await rows(page, 'ledger')).at(-1).split(/\s+/).slice(0, 2), ['issued', '599,896.155122362']);
}));

test('shares, pay and agreement are drawn, and said in words', () => at(166, async (page) => {
  for (const [id, said] of [
    ['incentive', /Incentive of miners, by epoch\. In epoch \d+: uid \d: [\d.]+ %/],
    ['paid', /Paid in each epoch, in CRN\. \d+ of \d+ epochs paid something/],
    ['attested', /Stake that attested the model root, by round\. In 6 of 6 rounds the root is final/],
  ]) {
    const drawn = page.locator(`#${id} svg[role=img]`);
    assert.match(plain(await drawn.getAttribute('aria-label')), said);
    assert.ok(await drawn.locator('rect, path').count() > 3, id);
  }
  assert.equal((await rows(page, 'agreement')).length, 6);
}));

/** Bends answers so that rounds have these losses in micro-nats; `count` rounds before the present one in all. */
function losses(byRound, count) {
  return (method, [, from], answer) => {
    if (method === 'training_run') {
      const { result } = structuredClone(answer);
      result.round.round = count;
      return { result };
    }
    if (method !== 'training_lineage') return answer;
    const root = `0x${'7'.repeat(64)}`;
    const stake = { attested_stake: '9', attesting_stake: '9', total_stake: '9', is_final: true };
    const entry = (round) => ({ round, model_root: root, ...stake, loss: byRound(round) });
    return { result: Array.from({ length: count - from }, (_, at) => entry(from + at)) };
  };
}

test('the loss is drawn over the rounds, said in words, and listed in nats and in bits', () => at(166, async (page) => {
  const drawn = page.locator('#curve svg[role=img]');
  assert.equal(await drawn.getAttribute('aria-label'), 'Mean loss in nats per token, by round. '
    + 'Round 4: 2.5000; round 0: 3.4657. The lowest is 2.0000, in round 3.');
  // Four points, from the highest to the lowest; the round without a loss takes its room all the same.
  const path = await drawn.locator('path').getAttribute('d');
  const points = path.slice(1).split('L').map((point) => point.split(' ').map(Number));
  assert.equal(points.length, 4);
  const [first, second, third, last] = points;
  assert.deepEqual([first[1], third[1]], [10, 174]);
  assert.ok(Math.abs((third[0] - second[0]) - 2 * (second[0] - first[0])) < 0.2, path);
  assert.ok(last[1] < third[1], path);
  const ticks = await drawn.locator('text.tick').allTextContents();
  assert.deepEqual(ticks.slice(0, 3), ['2.000', '2.733', '3.466']);
  await page.locator('#losses summary').click();
  assert.deepEqual(await rows(page, 'losses'), [
    '4\t2.5000\t3.6067', '3\t2.0000\t2.8854', '1\t3.2500\t4.6888', '0\t3.4657\t5.0000',
  ]);
}, { bend: losses((round) => [3_465_736, 3_250_000, null, 2_000_000, 2_500_000, null][round], 6) }));

test('of a long run the last rounds are drawn, and what is older than the roots shown is asked for once', async () => {
  const from = here.node.asked.length;
  await at(119, async (page) => {
    const drawn = () => page.locator('#curve svg').getAttribute('aria-label');
    assert.match(await drawn(), /Round 399: 4\.6010; round 144: 4\.8560\./);
    here.node.head(121);
    await untilBlock(page, 121);
    assert.match(await drawn(), /Round 399: 4\.6010; round 144: 4\.8560\./);
  }, { bend: losses((round) => 5_000_000 - round * 1_000, 400) });
  const asked = here.node.asked.slice(from).filter(([method]) => method === 'training_lineage');
  assert.deepEqual(asked.map(([, [, first]]) => first), [352, 144, 352]);
});

test('where there is no loss it is said why', async () => {
  await at(119, async (page) => {
    assert.match(await words(page, '#loss'), /There is none yet: validators state the loss of a round when they/);
  });
  const unaudited = (method, _params, answer) => {
    if (method !== 'training_run') return answer;
    const { result } = structuredClone(answer);
    result.config.audits.rate = 0;
    return { result };
  };
  await at(119, async (page) => {
    assert.match(await words(page, '#loss'), /This run audits nothing, so validators are not asked for a loss/);
  }, { bend: unaudited });
});

test('audits are shown: those that are open, and how others ended', () => at(119, async (page) => {
  assert.equal((await rows(page, 'audits')).length, 2);
  assert.match(await words(page, '#audits'), /Passed, in the rounds shown\s+4\s+Failed\s+2\s+Served nothing\s+1/);
  assert.match(await words(page, '#rounds'), /uid 1 served nothing: bond lost/);
}));

test('amounts, shares and times are said as the command line says them', () => at(119, async (page) => {
  const said = await page.evaluate(async () => {
    const { crn, exact, percent, lasting, thousands } = await import('/amount.js');
    return {
      crn: [crn(1_234_567_891_234_567n, 4), crn(5_000_000_000n, 9), crn(1n, 9), crn(999_999_999n, 2),
        crn(1_332_592n, 2), crn(0n, 2), crn(null)],
      exact: [exact(1_332_592n), exact(1_234_567_891_234_567n), exact(18_446_744_073_709_551_615n)],
      percent: [percent(1n, 3n), percent(65_535, 65_535), percent(0n, 0n), percent(1n, 100_000n), percent(null, 1n)],
      lasting: [lasting(16, 2000), lasting(360, 2000), lasting(7_200, 6000), lasting(7_200, null),
        lasting(100_000, 6000)],
      thousands: [thousands(0), thousands(999), thousands(1_000), thousands(1_000_000)],
    };
  });
  assert.deepEqual(JSON.parse(plain(JSON.stringify(said))), {
    crn: ['1,234,567.8912', '5.00', '0.000000001', '0.99', '0.001332592', '0.00', '–'],
    exact: ['0.001332592', '1,234,567.891234567', '18,446,744,073.709551615'],
    percent: ['33.3 %', '100 %', '–', '< 0.1 %', '–'],
    lasting: ['32 s', '12 min', '12 h', null, '7 days'],
    thousands: ['0', '999', '1,000', '1,000,000'],
  });
}));

test('the browser speaks to nobody but the node and the program', async () => {
  const { page, faults } = await open(here.context, 'about:blank');
  const [asked, spoken] = [[], []];
  page.on('request', (request) => asked.push(request.url()));
  page.on('websocket', (socket) => spoken.push(socket.url()));
  here.node.head(119);
  await page.goto(here.url);
  await untilBlock(page, 119);
  assert.ok(asked.length > 20 && asked.every((url) => url.startsWith(here.url)), asked.join(' '));
  assert.deepEqual([...new Set(spoken)].map((url) => url.replace(/\/$/, '')), [here.node.url]);
  const refused = await page.evaluate(() => new Promise((resolve) => {
    document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
    new WebSocket('ws://127.0.0.1:9');
  }));
  assert.equal(refused, 'connect-src');
  assert.equal(faults.length, 1, 'the one that was asked for');
  await page.close();
});
